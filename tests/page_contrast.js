// The contrast of every text with what lies behind it, by WCAG 2.2, 1.4.3, level AA.
const parts = color => {
  const numbers = color.match(/[\d.]+/g).map(Number);
  return numbers.length > 3 ? numbers : [...numbers, 1];
};
const over = (top, below) =>
  [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const behind = element => element
  ? over(parts(getComputedStyle(element).backgroundColor), behind(element.parentElement))
  : [255, 255, 255, 1];
const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) =>
  0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

window.addEventListener("load", () => {
  const said = new Set();
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    const style = getComputedStyle(element);
    if (!words || !element.getClientRects().length) continue;
    const color = parts(element instanceof SVGElement ? style.fill : style.color);
    if (color[3] === 0) continue;  // zeros of the confusion table, which are not to be seen
    const back = behind(element);
    const [dark, light] =
      [luminance(over(color, back)), luminance(back)].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    count += 1;
    if (ratio < (large ? 3 : 4.5)) said.add(`${ratio.toFixed(2)} ${words.slice(0, 30)}`);
  }
  document.title = `probe: ${said.size} faults of ${count}; ${[...said].join("; ")}`;
});
