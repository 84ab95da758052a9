// The little that only the browser can do.
window.flywheel = {
  rememberDark(dark) {
    document.cookie = `flywheel_dark=${dark}; path=/; max-age=31536000; samesite=lax`;
  },
  async copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Plain http elsewhere than on loopback has no clipboard object.
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  },
  // Below the form, on a narrow screen, nobody would see the drafts come.
  reveal(element) {
    if (element.getBoundingClientRect().top > window.innerHeight * 0.6) element.scrollIntoView({ behavior: "smooth", block: "start" });
  },
  // Puts the cursor at the end of an editor and lets it grow with its text.
  beginEdit(area) {
    const fit = () => { area.style.height = "auto"; area.style.height = `${area.scrollHeight}px`; };
    area.addEventListener("input", fit);
    fit();
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  },
};
