# Fills in the outputs of cases.json as Jinja itself renders them (python3-jinja2, BSD-3-Clause), with the settings that
# transformers gives it. The templates are our own.
#   apt-get install python3-jinja2 && python3 make.py
import datetime, json, jinja2, jinja2.ext
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

variables = json.load(open("variables.json"))
cases = []
for case in json.load(open("cases.json")):
    template = case["template"]
    try:
        cases.append({"template": template, "text": environment.from_string(template).render(**json.loads(json.dumps(variables)))})
    except Exception as e:
        cases.append({"template": template, "text": None})
json.dump(cases, open("cases.json", "w"), ensure_ascii=False, indent=0)
print(len(cases), "cases,", sum(case["text"] is None for case in cases), "fail")
