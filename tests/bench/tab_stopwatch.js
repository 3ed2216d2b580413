// Runs in every frame after stopwatch.js, and measures the whole tab: when it is of use, what a key press repaints, how
// smoothly the structure moves.
(() => {
  const { painted, when } = window.stopwatch;
  const QUIET_MS = 400;

  const useful = when(
    () =>
      document.querySelector(".structure svg.canvas > g > *") &&
      document.querySelector('[data-testid="step-slider"] path.curve') &&
      document.querySelector('[data-testid="heat-map"] canvas[width]'), // a canvas gets its width when it is drawn
  );

  /** Milliseconds to the first useful screen: since the tab was opened, and since TensorBoard was. */
  const opened = async () => {
    const end = await useful;
    return { tab: end, whole: performance.timeOrigin + end - parent.performance.timeOrigin };
  };

  const quiet = () =>
    new Promise((done) => {
      let timer = setTimeout(end, QUIET_MS);
      const observer = new MutationObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(end, QUIET_MS);
      });
      function end() {
        observer.disconnect();
        done();
      }
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    });

  let repaint = null;

  /** From the next key on, note when each part (name -> selector) was last painted anew; `repainted` tells. */
  const awaitKey = (parts) => {
    repaint = new Promise((done) => {
      const changed = (event) => {
        const last = {};
        const observer = new MutationObserver((records) => {
          const found = Object.keys(parts).filter((part) => records.some(({ target }) => within(target, parts[part])));
          if (found.length > 0) painted().then((now) => found.forEach((part) => (last[part] = now - event.timeStamp)));
        });
        observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        quiet().then(painted).then(() => {
          observer.disconnect();
          done(last);
        });
      };
      addEventListener("keydown", changed, { capture: true, once: true });
    });
  };

  const within = (target, selector) => (target instanceof Element ? target : target.parentElement)?.closest(selector);

  /** Milliseconds from the key press to the last frame in which it changed each part. */
  const repainted = () => repaint;

  const canvas = () => document.querySelector(".structure svg.canvas");

  /** How many boxes lie within the pane, whether they are elements or parts of one. */
  const visible = () => {
    const pane = canvas().getBoundingClientRect();
    const meets = ({ left, top, right, bottom }) =>
      left < pane.right && right > pane.left && top < pane.bottom && bottom > pane.top;
    const elements = [...canvas().querySelectorAll("[data-node]")].map((box) => box.getBoundingClientRect());
    const { a: scale, e: x, f: y } = canvas().querySelector("g").getScreenCTM();
    const drawn = [...canvas().querySelectorAll(".distance path.far:not(.chosen), .far-wall")].flatMap((path) =>
      [...path.getAttribute("d").matchAll(/M(-?\d+) (-?\d+)h(\d+)v(\d+)/g)].map(([, left, top, width, height]) => ({
        left: x + left * scale,
        top: y + top * scale,
        right: x + (+left + +width) * scale,
        bottom: y + (+top + +height) * scale,
      })),
    );
    return [...elements, ...drawn].filter(meets).length;
  };

  /** Milliseconds from the click on a button to the picture that it asks for, drawn as only large pictures are. */
  const unfolding = async (label) => {
    const start = performance.now();
    document.querySelector(`.structure [aria-label="${label}"]`).click();
    return (await when(() => document.querySelector(".structure svg.canvas.still .distance"))) - start;
  };

  /** Where the picture stands in its pane. */
  const transform = () => canvas().querySelector("g").getAttribute("transform");

  let frames = null;

  /** Note when each frame begins, in milliseconds, until `counted` returns what was noted. */
  const count = () => {
    frames = [];
    const next = (now) => {
      if (frames === null) return;
      frames.push(now);
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  };

  const counted = () => {
    const noted = frames;
    frames = null;
    return noted;
  };

  const SCENE = ["tf-graph-dashboard", "tf-graph-board", "tf-graph", "tf-graph-scene"];

  /** Milliseconds from the opening of TensorBoard to the first picture in its own Graphs tab. */
  const graphsTab = () =>
    new Promise((done) => {
      const look = () => {
        const scene = SCENE.reduce((root, name) => root?.querySelector(name)?.shadowRoot, document);
        if (scene?.querySelector("g.node")) painted().then(done);
        else requestAnimationFrame(look);
      };
      look();
    });

  Object.assign(window.stopwatch, { opened, awaitKey, repainted, visible, unfolding, transform, count, counted, graphsTab });
})();
