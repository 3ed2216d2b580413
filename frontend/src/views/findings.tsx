/** What is wrong, as a list above everything else about the model: each opens to its evidence, and shows its place. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { counts, countWords, keyOf, severityOf, titleOf } from "../findings";
import { formatName, formatNumber, formatStep } from "../format";
import type { Store } from "../store";
import type { Finding } from "../wire";
import "./findings.css";
import { FlagGlyph } from "./flag";

/** More than these are not listed: whoever has so many starts with the first. */
const MOST = 200;

/** The list, or its one line while it is closed; nothing where nothing was found. */
export function Findings({ store }: { readonly store: Store }): JSX.Element | null {
  const found = store.found.value;
  const open = store.findingsOpen.value;
  if (found.length === 0) return null;
  return (
    <section class="findings" aria-label="Findings" data-testid="findings">
      <button
        type="button"
        class="findings-title"
        aria-expanded={open}
        onClick={() => store.choose({ findings: !open })}
      >
        <Chevron open={open} />
        <h2>Findings</h2>
        <span class="quiet">{countWords(counts(found))}</span>
      </button>
      {open && (
        <ul class="findings-list" onKeyDown={walk}>
          {found.slice(0, MOST).map((finding) => (
            <Item key={keyOf(finding)} store={store} finding={finding} />
          ))}
          {found.length > MOST && <li class="quiet findings-more">{found.length - MOST} more, not listed here</li>}
        </ul>
      )}
    </section>
  );
}

/** Up and Down go from finding to finding. */
function walk(event: KeyboardEvent): void {
  const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  const list = event.currentTarget as Element;
  const buttons = [...list.querySelectorAll<HTMLElement>(".finding-head")];
  const at = buttons.indexOf(document.activeElement as HTMLElement);
  const next = buttons[at + by];
  if (by === 0 || at < 0 || next === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  next.focus();
}

interface ItemProps {
  readonly store: Store;
  readonly finding: Finding;
}

function Item({ store, finding }: ItemProps): JSX.Element {
  const open = store.finding.value === finding;
  const severity = severityOf(finding);
  const ref = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (open) ref.current?.scrollIntoView({ block: "nearest" });
  }, [open]);
  return (
    <li class={open ? "finding open" : "finding"} ref={ref}>
      <button
        type="button"
        class="finding-head"
        aria-expanded={open}
        onClick={() => store.lookAt(open ? null : finding)}
      >
        <FlagGlyph flag={{ severity, own: true, reached: true }} />
        <span class="off-sight">{severity}: </span>
        <b class="finding-title">{titleOf(finding)}</b>
        <span class="finding-layer" title={finding.row || finding.layer}>
          <bdi>{finding.row || finding.layer || "the model as a whole"}</bdi>
        </span>
        <span class="finding-step number">step {formatStep(finding.step)}</span>
        <span class="finding-message">{finding.message}</span>
      </button>
      {open && <Evidence store={store} finding={finding} />}
    </li>
  );
}

function Evidence({ store, finding }: ItemProps): JSX.Element {
  const evidence = Object.entries(finding.evidence);
  const shown = store.measures.value.some(({ id }) => id === finding.measure);
  return (
    <div class="finding-body">
      {evidence.length > 0 && (
        <dl class="facts">
          {evidence.map(([name, value]) => (
            <div class="fact-pair" key={name}>
              <dt>{formatName(name)}</dt>
              <dd>{formatNumber(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      <p>
        <span class="quiet">Rule: </span>
        {finding.rule}
      </p>
      <p>
        <span class="quiet">Source: </span>
        {finding.source}
      </p>
      {finding.measure !== "" && !shown && (
        <p class="quiet">
          It shows in {formatName(finding.measure.replace(".", " · "))}, which this run does not hold.
        </p>
      )}
      {finding.others.length > 0 && <Others store={store} finding={finding} />}
    </div>
  );
}

/** The other rows where the same holds; each selects its layer, the finding stays open. */
function Others({ store, finding }: ItemProps): JSX.Element {
  const owners = new Map(
    store.tags.value.series.flatMap(({ metadata }) =>
      metadata.layers.map((row, index): [string, string] => [row, metadata.owners[index] ?? row]),
    ),
  );
  const show = (row: string) => {
    store.select(owners.get(row) ?? row, true);
    store.choose({ row, findings: true });
  };
  return (
    <div>
      <span class="quiet">The same holds at</span>
      <div class="chips">
        {finding.others.map((row) => (
          <button type="button" key={row} title={row} onClick={() => show(row)}>
            {row}
          </button>
        ))}
      </div>
    </div>
  );
}

function Chevron({ open }: { readonly open: boolean }): JSX.Element {
  return (
    <svg class="findings-chevron" viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
      <path d={open ? "M2 3.5 5 6.5 8 3.5" : "M3.5 2 6.5 5 3.5 8"} />
    </svg>
  );
}
