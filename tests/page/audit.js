// What is wrong for those who see little or nothing: controls without a name, letters that hardly stand
// out from their ground (WCAG AA), ids that are there twice, things that stand out of the page.
const wrong = [];
const isSeen = (element) => {
  if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
  const box = element.getBoundingClientRect();
  return box.width > 1 && box.height > 1;
};
const told = (element) => `${element.outerHTML.slice(0, 120)}`;

const nameOf = (element) => {
  const label = element.getAttribute("aria-label");
  if (label) return label.trim();
  const by = element.getAttribute("aria-labelledby");
  if (by) return by.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  if (element.labels?.length) return [...element.labels].map((it) => it.textContent).join(" ").trim();
  return (element.textContent || element.getAttribute("alt") || "").trim();
};
for (const element of document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), [tabindex='0'], [role=img], section, nav, main",
)) {
  if (element.tagName === "MAIN" || element.closest("[hidden]")) continue;
  if (!nameOf(element)) wrong.push(`no name: ${told(element)}`);
}
for (const image of document.querySelectorAll("img")) {
  if (!image.hasAttribute("alt")) wrong.push(`no alt: ${told(image)}`);
}
const ids = [...document.querySelectorAll("[id]")].map((it) => it.id);
for (const id of new Set(ids)) {
  if (ids.filter((it) => it === id).length > 1) wrong.push(`twice: #${id}`);
}
for (const by of document.querySelectorAll("[aria-labelledby]")) {
  if (!document.getElementById(by.getAttribute("aria-labelledby"))) wrong.push(`no label: ${told(by)}`);
}
if (document.querySelectorAll("main").length !== 1) wrong.push("not one main part");
if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
if (!document.documentElement.lang) wrong.push("no language");

// Contrast.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = ([r, g, b]) => {
  const part = (it) => (it / 255 <= 0.04045 ? it / 255 / 12.92 : ((it / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ground = (element) => {
  for (let it = element; it; it = it.parentElement) {
    const color = rgba(getComputedStyle(it).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const letters = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let least = 99;
for (let node = letters.nextNode(); node; node = letters.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || !isSeen(element) || element.closest("noscript, script, .unseen, .skip")) continue;
  const style = getComputedStyle(element);
  const [a, b] = [luminance(rgba(style.color)), luminance(ground(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  least = Math.min(least, ratio);
  if (ratio < (isLarge ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(2)}: ${node.data} in ${told(element)}`);
}

// The page itself does not scroll sideways; tables do, in places of their own.
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) {
  const out = [...document.body.querySelectorAll("*")].find(
    (it) => it.getBoundingClientRect().right > width + 1 && !it.closest(".scroll"),
  );
  wrong.push(`wider than ${width}: ${document.documentElement.scrollWidth} ${out ? told(out) : ""}`);
}
return { wrong: [...new Set(wrong)], least };
