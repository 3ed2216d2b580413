// Runs in every frame before the page's own scripts, and measures from outside what a person sees there.
(() => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))));
  const boxOf = (id) => document.querySelector(`.structure [data-node="${CSS.escape(id)}"]`);

  /** The time at which `holds` first holds and is painted. */
  const when = (holds) =>
    new Promise((done) => {
      const look = () => {
        if (!holds()) return false;
        observer.disconnect();
        painted().then(done);
        return true;
      };
      const observer = new MutationObserver(look);
      if (!look()) observer.observe(document, { subtree: true, childList: true, attributes: true });
    });

  const drawn = when(() => document.querySelector(".structure svg.canvas > g > *"));

  /** Milliseconds from the arrival of the graph's data to the first picture. */
  const opening = async () => {
    const end = await drawn;
    const blobs = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/blob?"));
    return end - blobs[0].responseEnd;
  };

  /** Milliseconds that it takes to open or close a box by keyboard. */
  const toggling = async (id) => {
    const before = boxOf(id).dataset.expanded;
    const start = performance.now();
    boxOf(id).dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true, cancelable: true }));
    return (await when(() => boxOf(id) !== null && boxOf(id).dataset.expanded !== before)) - start;
  };

  const overlap = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;

  /** What is on view: how many boxes, the smallest label in pixels, and what no picture should have. */
  const look = () => {
    const boxes = [...document.querySelectorAll(".structure [data-node]")];
    const faces = boxes
      .filter((box) => box.dataset.expanded !== "true")
      .map((box) => ({ id: box.dataset.node, at: box.querySelector("rect.face, rect").getBoundingClientRect() }));
    const overlapping = faces.flatMap((a, i) => faces.slice(i + 1).flatMap((b) => (overlap(a.at, b.at) ? [`${a.id} on ${b.id}`] : [])));
    const texts = boxes.flatMap((box) => [...box.querySelectorAll("text")].map((text) => ({ box, text })));
    const written = texts.filter(({ text }) => text.textContent !== "");
    const labels = written.filter(({ text }) => text.checkVisibility());
    const outside = labels.filter(({ box, text }) => {
      const [around, inside] = [box.getBoundingClientRect(), text.getBoundingClientRect()];
      return inside.left < around.left - 1 || inside.right > around.right + 1;
    });
    const cut = labels.filter(({ text }) => text.textContent.endsWith("…"));
    const size = ({ text }) => Number.parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a;
    const sizes = written.map(size);
    return {
      boxes: faces.length,
      closed: boxes.filter((box) => box.dataset.expanded === "false").map((box) => box.dataset.node),
      open: boxes.filter((box) => box.dataset.expanded === "true").map((box) => box.dataset.node),
      smallest: Math.min(...sizes),
      hidden: written.length - labels.length,
      overlapping,
      clipped: [...outside, ...cut].map(({ text }) => text.textContent),
      note: document.querySelector(".structure-note")?.textContent ?? "",
    };
  };

  window.stopwatch = { painted, when, opening, toggling, look };
})();
