import { median as middle } from "d3-array";
import type { JSX } from "preact";
import { formatNumber, formatShare, plural } from "../format";
import type { Tensor } from "../safetensors";
import { visible } from "../token_text";
import { TRUST } from "../wire";
import { FlagGlyph } from "./flag";

/** The gap from which on what is attributed does not add up to what it should explain. */
const LARGE_GAP = 0.1;
/** The likeness to the map of random weights from which on a map says little of the network. */
const BLIND = 0.5;

const GAP = "completeness";

/** What is left of sums in float32 that add up. */
const ROUNDING = 1e-5;

export interface Score {
  readonly name: string;
  readonly label: string;
  readonly help: string;
  /** Mean over the samples; of the completeness gap the median, since one sample whose score hardly moves can be all. */
  readonly value: number;
  /** The same score of a random order and of the input's magnitude, where there is one. */
  readonly beside: readonly { readonly label: string; readonly value: number }[];
  /** Why not to trust, in words; "" if nothing speaks against it. */
  readonly doubt: string;
}

/** The scores of an attribution, each beside those that it should beat. */
export function scoresOf(trust: ReadonlyMap<string, Tensor>): Score[] {
  const means = new Map([...trust].map(([name, { data }]) => [name, name === GAP ? median(data) : mean(data)]));
  return [...TRUST.values()].flatMap(({ name, label, help, better }) => {
    const value = means.get(name);
    if (value === undefined || Number.isNaN(value) || /_(random|input)$/.test(name)) return [];
    const beside = [
      { label: "random", value: means.get(`${name}_random`) },
      { label: "raw input", value: means.get(`${name}_input`) },
    ].filter((one): one is { label: string; value: number } => one.value !== undefined && !Number.isNaN(one.value));
    const random = beside.find((one) => one.label === "random")?.value;
    return [{ name, label, help, value, beside, doubt: doubtOf(name, value, random, better) }];
  });
}

function doubtOf(name: string, value: number, random: number | undefined, better: string): string {
  if (name === "completeness" && value > LARGE_GAP)
    return `above ${LARGE_GAP}: it does not add up to what it should explain`;
  if (name === "randomization" && value > BLIND) return `above ${BLIND}: random weights give much the same map`;
  if (random === undefined) return "";
  return (better === "lower" ? value < random : value > random) ? "" : "no better than a random order";
}

function median(values: ArrayLike<number>): number {
  return middle(Array.from(values).filter(Number.isFinite)) ?? Number.NaN;
}

function mean(values: ArrayLike<number>): number {
  const finite = Array.from(values).filter(Number.isFinite);
  return finite.length === 0 ? Number.NaN : finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

interface TrustProps {
  readonly scores: ReadonlyMap<string, Tensor>;
  readonly notes: readonly string[];
}

/** How far to trust an attribution of the inputs, in numbers, and in words where something is to be known. */
export function Trust({ scores, notes }: TrustProps): JSX.Element | null {
  const found = scoresOf(scores);
  if (found.length === 0 && notes.length === 0) return null;
  const doubts = found.filter(({ doubt }) => doubt !== "").length;
  return (
    <div class={doubts > 0 ? "trust doubtful" : "trust"} data-testid="trust">
      {doubts > 0 && (
        <p class="doubt" role="note">
          <Warning /> {doubts} of {plural(found.length, "check")} {doubts === 1 ? "speaks" : "speak"} against this
          attribution
        </p>
      )}
      <dl class="facts">
        {found.map(({ name, label, help, value, beside, doubt }) => (
          <div key={name} class="fact-pair" title={help}>
            <dt>{label}</dt>
            <dd>
              <span class="number">{told(name, Math.abs(value) < ROUNDING ? 0 : value)}</span>
              {beside.map((one) => (
                <span key={one.label} class="quiet">
                  {" "}
                  {one.label} <span class="number">{formatNumber(one.value)}</span>
                </span>
              ))}
              {doubt !== "" && (
                <span class="doubt">
                  <Warning /> {doubt}
                </span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {notes.map((note) => (
        <p key={note} class="note">
          {visible(note)}
        </p>
      ))}
    </div>
  );
}

/** The gap is a share of what is to be explained, as it is at each sample; the others are areas, 0 to 1. */
function told(name: string, value: number): string {
  return name === GAP ? formatShare(value) : formatNumber(value);
}

function Warning(): JSX.Element {
  return <FlagGlyph flag={{ severity: "warning", own: true, reached: true }} />;
}
