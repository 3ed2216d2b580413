// The boxes of the structure: modules, containers, functions, inputs and outputs. Text goes in as text nodes only.

import type { ComponentChildren, JSX } from "preact";
import type { PlacedBox } from "../layout/picture";
import type { Mark } from "../series";
import type { Node } from "../wire";
import {
  fitText,
  GLYPH,
  glyphsOf,
  HEADER,
  PADDING,
  type Role,
  shapeOf,
  textWidth,
  toggleWidth,
  tooltipOf,
  VALUE,
  type Words,
} from "./structure_text";

export interface Paint {
  /** Data colour that fills the box. */
  fill: string;
  /** Colour of the text on it. */
  ink: string;
  /** The number, formatted; "" if none. */
  value: string;
  /** "nan": hatched. "frozen": striped. "none": the measure has no value here. "unmatched": compared, and only here. */
  mark: Mark | "unmatched";
  /** Where the number stands on the colour scale, 0 to 1. */
  at?: number;
  /** Whether nothing of it trains at this step; absent where that was not measured. */
  frozen?: boolean;
}

export interface BoxProps {
  box: PlacedBox;
  node: Node;
  words: Words;
  /** Boxes directly inside; 0 for a leaf. */
  inside: number;
  paint: Paint | null;
  selected: boolean;
  /** Whether the Tab key stops here: at one box of all; arrows go to the others. */
  stop: boolean;
  /** A closed container that holds the selected node. */
  holdsSelected: boolean;
  /** Lit or dimmed by a search. */
  light: "" | "hit" | "dim";
  /** What was found in it, or in what it hides, in words; "" for nothing. */
  found: string;
  hatch: string;
  onSelect: (id: string) => void;
  onToggle: (id: string) => void;
}

export interface TextProps {
  x: number;
  y: number;
  font: Role;
  text: string;
  room: number;
  end?: boolean;
  middle?: boolean;
}

/** One line of text that keeps to its room. */
export function Text({ x, y, font, text, room, end = false, middle = false }: TextProps) {
  return (
    <text x={x} y={y} class={`t-${font}`} text-anchor={end ? "end" : middle ? "middle" : "start"}>
      {fitText(text, font, room)}
    </text>
  );
}

const OPEN_LOCK_PATH = "M2.5 5.5v-2.5a2.5 2.5 0 0 1 5 0M1.5 5.5h7v5.5h-7z";
const LOCK_PATH = "M2.5 5.5v-1.5a2.5 2.5 0 0 1 5 0v1.5M1.5 5.5h7v5.5h-7z";
const LINK_PATH = "M4 7.5 7 4.5M4.5 4 6 2.5a2.1 2.1 0 0 1 3 3L7.5 7M6.5 8 5 9.5a2.1 2.1 0 0 1-3-3L3.5 5";

/** Whether a lock belongs beside the name: what was measured counts before what was so when the graph was recorded. */
function lockOf(words: Words, paint: Paint | null): string {
  if (paint?.frozen ?? words.frozen) return LOCK_PATH;
  return words.frozen ? OPEN_LOCK_PATH : "";
}

function glyphCount(words: Words, paint: Paint | null): number {
  return glyphsOf(words) + (words.frozen || !paint?.frozen ? 0 : 1);
}

/** What is true of a module beside its numbers: frozen, tied, stopped; each a shape, not a colour. */
function Glyphs({ words, paint, x, y }: { words: Words; paint: Paint | null; x: number; y: number }) {
  const shown = [lockOf(words, paint), words.tied ? LINK_PATH : ""].filter((path) => path !== "");
  return (
    <>
      {shown.map((path, i) => (
        <path key={path} class="glyph" d={path} transform={`translate(${x + i * GLYPH} ${y})`} />
      ))}
      {words.stopped && <Warning x={x + shown.length * GLYPH} y={y + 1} />}
    </>
  );
}

/** The mark of "not a number": a triangle, so that it is never told by colour alone. */
export function Warning({ x, y }: { x: number; y: number }) {
  return <path class="warning" d="M5 .8 9.6 9.2H.4zM5 3.6v2.6M5 7.3v.6" transform={`translate(${x} ${y})`} />;
}

function valueText(paint: Paint | null): string {
  if (!paint) return "";
  return paint.value || (paint.mark === "nan" ? "NaN" : paint.mark === "none" ? "–" : "");
}

function spoken({ node, words, paint, inside, found }: BoxProps): string {
  const value =
    paint?.mark === "nan" ? paint.value || "not a number" : paint?.mark === "none" ? "no value" : paint?.value;
  const content = inside > 0 ? `${inside} ${inside === 1 ? "box" : "boxes"} inside` : "";
  const kind = words.className || (node.kind === "module" ? "" : node.kind);
  return [
    words.name,
    kind,
    value,
    content,
    (paint?.frozen ?? words.frozen) && paint?.mark !== "frozen" ? "frozen" : "",
    words.tied ? "tied weights" : "",
    words.stopped ? "the forward stopped here" : "",
    found,
  ]
    .filter(Boolean)
    .join(", ");
}

/** The group that is a button: a click or Enter selects, a double click or Space opens and closes. */
export function Box(props: BoxProps): JSX.Element {
  const { box, node, inside, paint, onSelect, onToggle } = props;
  const toggle = () => inside > 0 && onToggle(box.id);
  const kind = box.expanded ? `open ${box.depth % 2 === 0 ? "even" : "odd"}` : shapeOf(node);
  const classes = ["box", kind, node.kind, props.light];
  if (inside > 0) classes.push("container");
  if (props.words.stopped) classes.push("stopped");
  if (paint) classes.push(paint.mark || "painted");
  if (props.selected) classes.push("selected");
  else if (props.holdsSelected) classes.push("holds");
  const keyed = (event: KeyboardEvent) => {
    if (event.key === "Enter") onSelect(box.id);
    else if (event.key === " ") toggle();
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no button element
    <g
      class={classes.filter(Boolean).join(" ")}
      data-node={box.id}
      data-expanded={inside > 0 ? String(box.expanded) : undefined}
      transform={`translate(${box.x} ${box.y})`}
      style={paint && paint.mark === "" ? { "--fill": paint.fill, "--on-fill": paint.ink } : undefined}
      role="button"
      tabindex={props.stop ? 0 : -1}
      aria-label={spoken(props)}
      aria-expanded={inside > 0 ? box.expanded : undefined}
      aria-pressed={props.selected}
      onClick={(event) => {
        event.stopPropagation();
        onSelect(box.id);
      }}
      onDblClick={(event) => {
        event.stopPropagation();
        toggle();
      }}
      onKeyDown={keyed}
    >
      <title>{[tooltipOf(node, valueText(paint)), props.found].filter(Boolean).join("\n")}</title>
      {box.expanded ? <Header {...props} /> : <Closed {...props} />}
    </g>
  );
}

function Closed(props: BoxProps): JSX.Element {
  const { box, node, paint, inside, hatch } = props;
  const shape = shapeOf(node);
  const radius = shape === "module" ? 6 : shape === "pill" ? box.height / 2 : 10;
  const size = { width: box.width, height: box.height, rx: radius };
  return (
    <>
      {inside > 0 && <rect class="sheet" x={4} y={4} {...size} />}
      <rect class="face" {...size} />
      <Texture paint={paint} hatch={hatch} {...size} />
      {shape === "module" ? (
        <ModuleText {...props} />
      ) : shape === "pill" ? (
        <PillText {...props} />
      ) : (
        <EndText {...props} />
      )}
      <rect class="ring" x={-3} y={-3} width={box.width + 6} height={box.height + 6} rx={radius + 3} />
    </>
  );
}

interface TextureProps {
  paint: Paint | null;
  hatch: string;
  x?: number;
  y?: number;
  width: number;
  height: number;
  rx: number;
}

/** What lies over a box whose value is no colour. */
function Texture({ paint, hatch, ...place }: TextureProps) {
  const fill = textureOf(paint, hatch);
  return fill === undefined ? null : <rect class="hatching" fill={fill} {...place} />;
}

/** The pattern of what is not finite, or frozen; undefined for none. */
export function textureOf(paint: Paint | null, hatch: string): string | undefined {
  if (paint?.mark === "nan") return `url(#${hatch})`;
  return paint?.mark === "frozen" ? `url(#${hatch}-frozen)` : undefined;
}

function ModuleText(props: BoxProps): JSX.Element {
  const { box, words, paint, inside } = props;
  const room = box.width - 2 * PADDING;
  const right = box.width - PADDING;
  const nameRoom = room - (inside > 0 ? toggleWidth(inside) + 8 : 0) - GLYPH * glyphCount(words, paint);
  const name = fitText(words.name, "name", nameRoom);
  const meta = words.parameters ? room - textWidth(words.parameters, "mono") - 8 : room;
  return (
    <>
      <Text x={PADDING} y={20} font="name" text={words.name} room={nameRoom} />
      <Glyphs words={words} paint={paint} x={PADDING + textWidth(name, "name") + 6} y={9} />
      {inside > 0 && <Toggle {...props} x={right + 4} />}
      <Text x={PADDING} y={38} font="class" text={words.className} room={paint ? room - VALUE - 8 : room} />
      <Value paint={paint} x={right} y={38} />
      <Text x={PADDING} y={57} font="mono" text={words.shape} room={meta} />
      {words.parameters && <Text x={right} y={57} font="mono" text={words.parameters} room={room} end />}
    </>
  );
}

/** The painted number, right-aligned at `x`. */
function Value({ paint, x, y }: { paint: Paint | null; x: number; y: number }) {
  const text = valueText(paint);
  if (!text) return null;
  const shown = fitText(text, "mono", VALUE);
  return (
    <g class="value">
      {paint?.mark === "nan" && <Warning x={x - textWidth(shown, "mono") - 15} y={y - 9.5} />}
      <Text x={x} y={y} font="mono" text={shown} room={VALUE} end />
    </g>
  );
}

function Toggle({ box, inside, onToggle, x }: BoxProps & { x: number }): JSX.Element {
  const width = toggleWidth(inside);
  return (
    <Affordance id={box.id} onToggle={onToggle} x={x - width} y={7} width={width}>
      <path class="chevron" d="M7.5 5.5l3.5 3.5-3.5 3.5" />
      <Text x={16} y={13} font="mono" text={String(inside)} room={60} />
    </Affordance>
  );
}

interface AffordanceProps {
  id: string;
  onToggle: (id: string) => void;
  x: number;
  y: number;
  width: number;
  children: ComponentChildren;
}

/** What a pointer clicks to open or close; the keyboard has Space on the box itself. */
export function Affordance({ id, onToggle, x, y, width, children }: AffordanceProps) {
  const clicked = (event: MouseEvent) => {
    event.stopPropagation();
    onToggle(id);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a pointer's shortcut; the box is the button
    <g
      class="toggle"
      data-toggle={id}
      transform={`translate(${x} ${y})`}
      onClick={clicked}
      onDblClick={(event) => event.stopPropagation()}
    >
      <rect width={width} height={18} rx={9} />
      {children}
    </g>
  );
}

function PillText({ box, words, paint }: BoxProps): JSX.Element {
  const value = valueText(paint);
  const middle = box.width / 2;
  const room = box.width - 2 * 10;
  return (
    <>
      <Text x={middle} y={value ? 12.5 : 18} font="pill" text={words.name} room={room} middle />
      {value && <Text x={middle} y={23.5} font="mono" text={value} room={room} middle />}
    </>
  );
}

function EndText({ box, words }: BoxProps): JSX.Element {
  const room = box.width - 2 * PADDING;
  const middle = box.width / 2;
  return (
    <>
      <Text x={middle} y={words.shape ? 19.5 : 27} font="name" text={words.name} room={room} middle />
      <Text x={middle} y={35.5} font="mono" text={words.shape} room={room} middle />
    </>
  );
}

/** The header bar of an open container; its wall is drawn apart, beneath the edges. */
function Header({ box, words, paint, hatch, onToggle }: BoxProps): JSX.Element {
  const room = box.width - 2 * PADDING - 26 - (paint ? VALUE + 16 : 0) - GLYPH * glyphCount(words, paint) - 8;
  const classRoom = Math.min(
    textWidth(words.className, "class"),
    Math.max(room * 0.4, room - textWidth(words.name, "name")),
  );
  const name = fitText(words.name, "name", room - classRoom);
  const classX = 34 + textWidth(name, "name") + 8;
  const className = fitText(words.className, "class", classRoom);
  const end = classX + textWidth(className, "class") + GLYPH * glyphCount(words, paint);
  const value = valueText(paint);
  const chip = { x: box.width - VALUE - 14, y: 7, width: VALUE + 6, height: HEADER - 14, rx: 5 };
  return (
    <>
      <rect class="hold" width={box.width} height={HEADER} />
      <rect class="plate" x={5} y={6} width={end - 5 + 6} height={HEADER - 12} rx={5} />
      <Affordance id={box.id} onToggle={onToggle} x={8} y={8} width={18}>
        <path class="chevron" d="M5.5 7.5l3.5 3.5 3.5-3.5" />
      </Affordance>
      <Text x={34} y={21.5} font="name" text={name} room={Infinity} />
      <Text x={classX} y={21.5} font="class" text={className} room={Infinity} />
      <Glyphs words={words} paint={paint} x={end - GLYPH * glyphCount(words, paint) + 5} y={11} />
      {value && <rect class="face" {...chip} />}
      {value && <Texture paint={paint} hatch={hatch} {...chip} />}
      <Value paint={paint} x={box.width - 14} y={21.5} />
      <rect class="ring" x={-3} y={-3} width={box.width + 6} height={box.height + 6} rx={11} />
    </>
  );
}

/** The wall of an open container. */
export function Wall({ box }: { box: PlacedBox }): JSX.Element {
  const { x, y, width, height, depth } = box;
  return (
    <g class={`wall ${depth % 2 === 0 ? "even" : "odd"}`}>
      <rect x={x} y={y} width={width} height={height} rx={8} />
    </g>
  );
}
