# What Jinja itself renders (python3-jinja2, BSD-3-Clause), with the settings that transformers gives it. The templates are our own.
#   apt-get install python3-jinja2
#   python3 make.py cases.json expressions.json    fills in the outputs; null where Jinja refuses the template
#   python3 make.py                                reads a list of templates from standard input, writes the list of their outputs
import datetime, json, os, sys, jinja2, jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 11, 24, 9, 5, 3)

class Generation(jinja2.ext.Extension):
    tags = {"generation"}
    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)
    def _same(self, caller):
        return caller()

def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)

def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda form: NOW.strftime(form)

variables = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "variables.json")))

def render(template):
    try:
        text = environment.from_string(template).render(**json.loads(json.dumps(variables)))
        text.encode()
        return text
    except Exception:
        return None

if len(sys.argv) == 1:
    json.dump([render(template) for template in json.load(sys.stdin)], sys.stdout)
for name in sys.argv[1:]:
    cases = [{"template": case["template"], "text": render(case["template"])} for case in json.load(open(name))]
    json.dump(cases, open(name, "w"), ensure_ascii=False, indent=0)
    print(len(cases), "cases,", sum(case["text"] is None for case in cases), "refused")
