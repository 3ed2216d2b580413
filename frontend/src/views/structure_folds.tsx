// Folds: repeated siblings as one box, or as a frame around one of them or all.

import type { JSX } from "preact";
import type { ModelGraph } from "../graph";
import { type FoldState, labelOf } from "../layout/hierarchy";
import type { PlacedBox } from "../layout/picture";
import type { Fold } from "../wire";
import { Affordance, type Paint, Text } from "./structure_boxes";
import { MemberStrip } from "./structure_strip";
import {
  type FoldWords,
  fitText,
  foldWordsOf,
  HEADER,
  KIND,
  PADDING,
  STRIP_ROW,
  stepperWidth,
  textWidth,
  toggleWidth,
} from "./structure_text";
import "./structure_folds.css";

export interface FoldBoxProps {
  graph: ModelGraph;
  box: PlacedBox;
  fold: Fold;
  state: FoldState;
  /** The paint of each repetition. */
  paints: readonly (Paint | null)[];
  selected: boolean;
  stop: boolean;
  holdsSelected: boolean;
  light: "" | "hit" | "dim";
  /** What was found in it, or in what it hides, in words; "" for nothing. */
  found: string;
  hatch: string;
  onSelect: (id: string) => void;
  onToggle: (id: string) => void;
  onShow: (fold: string, state: number | "all") => void;
}

const plural = (count: number) => (count === 1 ? "repetition" : "repetitions");

/** The group that is a button: as for a module; Page Up and Page Down go through the repetitions, `*` unfolds. */
export function FoldBox(props: FoldBoxProps): JSX.Element {
  const { graph, box, fold, state, onSelect, onToggle, onShow } = props;
  const words = foldWordsOf(graph, fold);
  const count = fold.members.length;
  const step = (by: number) => onShow(fold.id, stepped(state, count, by));
  const keyed = (event: KeyboardEvent) => {
    if (event.key === "Enter") onSelect(fold.id);
    else if (event.key === " ") onToggle(fold.id);
    else if (event.key === "PageDown") step(1);
    else if (event.key === "PageUp") step(-1);
    else if (event.key === "*") onShow(fold.id, state === "all" ? 0 : "all");
    else return;
    event.preventDefault();
  };
  const weights = fold.shared ? "same weights" : "distinct weights";
  const showing = state === "all" ? "all shown" : state === null ? "" : `number ${state + 1} shown`;
  const kind = box.expanded ? `open ${box.depth % 2 === 0 ? "even" : "odd"}` : "module";
  const classes = ["box", "fold", kind, "container", fold.shared ? "shared" : "distinct", props.light];
  if (props.selected) classes.push("selected");
  else if (props.holdsSelected) classes.push("holds");
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no button element
    <g
      class={classes.filter(Boolean).join(" ")}
      data-node={fold.id}
      data-expanded={String(box.expanded)}
      data-fold={fold.shared ? "shared" : "distinct"}
      transform={`translate(${box.x} ${box.y})`}
      role="button"
      tabindex={props.stop ? 0 : -1}
      aria-label={[words.label, words.className, `${count} ${plural(count)}`, weights, showing, props.found]
        .filter(Boolean)
        .join(", ")}
      aria-expanded={box.expanded}
      aria-pressed={props.selected}
      onClick={(event) => {
        event.stopPropagation();
        onSelect(fold.id);
      }}
      onDblClick={(event) => {
        event.stopPropagation();
        onToggle(fold.id);
      }}
      onKeyDown={keyed}
    >
      <title>
        {[words.label, words.className, `${count} ${plural(count)}, ${weights}`, props.found]
          .filter(Boolean)
          .join("\n")}
      </title>
      {box.expanded ? <Frame {...props} words={words} /> : <Closed {...props} words={words} />}
    </g>
  );
}

function stepped(state: FoldState, count: number, by: number): number {
  const from = typeof state === "number" ? state : by > 0 ? -1 : count;
  return Math.min(count - 1, Math.max(0, from + by));
}

/** Sheets of paper for distinct weights, an arrow in a loop for the same ones. */
function KindGlyph({ shared, x, y }: { shared: boolean; x: number; y: number }) {
  const path = shared ? "M11.2 4.2A5 5 0 1 0 12 7M12 1.6v3h-3" : "M4.5 4.5v-3h8v8h-3M1.5 4.5h8v8h-8z";
  return <path class="kind" d={path} transform={`translate(${x} ${y})`} />;
}

type Worded = FoldBoxProps & { words: FoldWords };

function Closed(props: Worded): JSX.Element {
  const { box, fold, words, onToggle } = props;
  const count = fold.members.length;
  const size = { width: box.width, height: box.height, rx: 6 };
  const [right, room] = [box.width - PADDING, box.width - 2 * PADDING];
  const meta = words.parameters ? room - textWidth(words.parameters, "mono") - 8 : room;
  const toggle = toggleWidth(count);
  return (
    <>
      {!fold.shared && <rect class="sheet" x={8} y={8} {...size} />}
      {!fold.shared && <rect class="sheet" x={4} y={4} {...size} />}
      <rect class="face" {...size} />
      <KindGlyph shared={fold.shared} x={PADDING - 1} y={8} />
      <Text x={PADDING + KIND} y={20} font="name" text={words.label} room={room - KIND - toggle - 4} />
      <Affordance id={fold.id} onToggle={onToggle} x={right + 4 - toggle} y={7} width={toggle}>
        <path class="chevron" d="M7.5 5.5l3.5 3.5-3.5 3.5" />
        <Text x={16} y={13} font="mono" text={String(count)} room={60} />
      </Affordance>
      <Text x={PADDING} y={38} font="class" text={words.className} room={room} />
      <Members {...props} x={PADDING} y={47} width={room} />
      <Text x={PADDING} y={79} font="mono" text={words.shape} room={meta} />
      <Text x={right} y={79} font="mono" text={words.parameters} room={room} end />
      <rect class="ring" x={-3} y={-3} width={box.width + 6} height={box.height + 6} rx={9} />
    </>
  );
}

function Members({
  graph,
  fold,
  state,
  paints,
  hatch,
  onShow,
  x,
  y,
  width,
}: Worded & { x: number; y: number; width: number }) {
  return (
    <MemberStrip
      paints={paints}
      shown={typeof state === "number" ? state : null}
      x={x}
      y={y}
      width={width}
      hatch={hatch}
      titleOf={(i) => (fold.members[i] ?? []).map((id) => labelOf(graph, id)).join(", ")}
      onShow={(i) => onShow(fold.id, i)}
    />
  );
}

/** The header of an open fold; its wall is drawn apart, beneath the edges. */
function Frame(props: Worded): JSX.Element {
  const { box, fold, words, state, onToggle, onShow } = props;
  const count = fold.members.length;
  const unfold = state === "all" ? "fold" : "unfold";
  const unfoldWidth = textWidth("unfold", "class") + 16;
  const buttonsX = box.width - PADDING - unfoldWidth - 8 - stepperWidth(count);
  const label = fitText(words.label, "name", buttonsX - 34 - KIND - 8);
  return (
    <>
      <rect class="hold" width={box.width} height={HEADER + STRIP_ROW} />
      <rect class="plate" x={5} y={6} width={34 + KIND + textWidth(label, "name")} height={HEADER - 12} rx={5} />
      <Affordance id={fold.id} onToggle={onToggle} x={8} y={8} width={18}>
        <path class="chevron" d="M5.5 7.5l3.5 3.5 3.5-3.5" />
      </Affordance>
      <KindGlyph shared={fold.shared} x={33} y={10} />
      <Text x={34 + KIND} y={21.5} font="name" text={label} room={Number.POSITIVE_INFINITY} />
      <Stepper count={count} state={state} x={buttonsX} onShow={(to) => onShow(fold.id, to)} />
      <Press
        x={box.width - PADDING - unfoldWidth}
        width={unfoldWidth}
        name={unfold}
        title={state === "all" ? "Show one of them" : `Show all ${count} side by side`}
        onPress={() => onShow(fold.id, state === "all" ? 0 : "all")}
      >
        <Text x={unfoldWidth / 2} y={12.7} font="class" text={unfold} room={80} middle />
      </Press>
      <Members {...props} x={PADDING} y={HEADER + 1} width={box.width - 2 * PADDING} />
      <rect class="ring" x={-3} y={-3} width={box.width + 6} height={box.height + 6} rx={11} />
    </>
  );
}

function Stepper({
  count,
  state,
  x,
  onShow,
}: {
  count: number;
  state: FoldState;
  x: number;
  onShow: (to: number) => void;
}) {
  const width = stepperWidth(count);
  const at = state === "all" ? `all ${count}` : `${(state ?? 0) + 1} / ${count}`;
  return (
    <g transform={`translate(${x} 0)`}>
      <rect class="plate" y={6} width={width} height={HEADER - 12} rx={5} />
      <Press x={0} width={18} name="previous" title="The one before" onPress={() => onShow(stepped(state, count, -1))}>
        <path class="chevron" d="M10.5 5.5 7 9l3.5 3.5" />
      </Press>
      <Text x={width / 2} y={21} font="mono" text={at} room={width - 40} middle />
      <Press
        x={width - 18}
        width={18}
        name="next"
        title="The next one"
        onPress={() => onShow(stepped(state, count, 1))}
      >
        <path class="chevron" d="M7.5 5.5 11 9l-3.5 3.5" />
      </Press>
    </g>
  );
}

interface PressProps {
  x: number;
  width: number;
  name: string;
  title: string;
  onPress: () => void;
  children: JSX.Element;
}

/** A small button in a header; the keyboard has the keys of the box. */
function Press({ x, width, name, title, onPress, children }: PressProps) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a pointer's shortcut; the box is the button
    <g
      class="toggle press"
      data-press={name}
      transform={`translate(${x} 8)`}
      onClick={(event) => {
        event.stopPropagation();
        onPress();
      }}
      onDblClick={(event) => event.stopPropagation()}
    >
      <title>{title}</title>
      <rect width={width} height={18} rx={9} />
      {children}
    </g>
  );
}
