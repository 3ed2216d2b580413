/** What Chromium has, and others refuse without a word where the clipboard is not allowed. */
interface WithPolicy {
  readonly featurePolicy?: { allowsFeature(feature: string): boolean };
}

/** Copy text; in a frame that may not use the clipboard (a notebook's), or over plain HTTP, by way of a selection. */
export async function copied(text: string): Promise<boolean> {
  const { featurePolicy } = document as WithPolicy;
  if (featurePolicy?.allowsFeature("clipboard-write") === false) return selectedAndCopied(text); // else it complains
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return selectedAndCopied(text);
  }
}

function selectedAndCopied(text: string): boolean {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "off-screen";
  document.body.append(area);
  area.focus({ preventScroll: true }); // not every browser does so by itself
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return done;
}
