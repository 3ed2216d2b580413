import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { boundsOf, Mark, type Point, Scatter } from "../charts/scatter";
import { formatShare } from "../format";
import type { Held } from "../pictures";
import { openProjector, tensorOf } from "../projector";
import type { Store } from "../store";
import { visible } from "../token_text";
import { frameSize } from "./attribution_film";
import { useSideId, useSideName } from "./compare";
import { HeldDownloads } from "./held_downloads";
import { ProbeSets } from "./probe_sets";
import { Waiting } from "./words";

const LARGEST = 320;
const MOST_GROUPS = 20;

interface PanelProps {
  readonly store: Store;
  readonly width: number;
}

/** What the selected layer makes of the probe set, as points: which samples it takes for alike, over the training. */
export function Embeddings({ store, width }: PanelProps): JSX.Element | null {
  const held = store.pictures.embedding.value;
  if (held.data === null && held.error === "" && !held.loading) return null;
  return (
    <section class="panel" id={useSideId("embeddings")} aria-label={useSideName("Embedding")}>
      <div class="panel-title">
        <h4>Embedding</h4>
        {held.data !== null && (
          <>
            <span class="quiet number">at step {held.data.step}</span>
            <Projector store={store} held={held.data} />
          </>
        )}
        <HeldDownloads store={store} held={held.data} name="embedding" />
      </div>
      {held.data === null ? (
        <Waiting resource={held}>
          <p>No points.</p>
        </Waiting>
      ) : (
        <Points store={store} held={held.data} width={width} />
      )}
    </section>
  );
}

/** The way to TensorBoard's Projector, where it has the features of this layer. */
function Projector({ store, held }: { readonly store: Store; readonly held: Held }): JSX.Element | null {
  const run = store.run.value;
  const tag = held.probeSet === "probe" ? held.name : `${held.probeSet}/${held.name}`; // as scope.embeddings names it
  const tensor = tensorOf(store.pictures.projected.value.data ?? [], tag, held.step);
  if (run === null || tensor === null) return null;
  return (
    <button
      type="button"
      class="plain"
      title={`Opens ${tensor} in TensorBoard's Projector, in a window of its own`}
      onClick={() => openProjector(store.projectorUrl, run, tensor)}
    >
      Open in the Projector
    </button>
  );
}

function Points({ store, held, width }: PanelProps & { readonly held: Held }): JSX.Element {
  const film = store.pictures.embeddingFilm.value.data ?? [];
  const points = useMemo(() => pointsOf(held), [held]);
  // The same bounds at every step: what moves is the samples, not the frame.
  const bounds = useMemo(() => boundsOf([held, ...film].flatMap(pointsOf)), [held, film]);
  const classes = held.inputs.description?.class_names ?? [];
  const groups = [...new Set(points.flatMap(({ group }) => (group === null ? [] : [group])))].sort((a, b) => a - b);
  const nameOf = (group: number) => (classes[group] === undefined ? `class ${group}` : visible(classes[group]));
  const name = ({ index, group }: Point) => `sample ${index}${group === null ? "" : ` · ${nameOf(group)}`}`;
  const shares = Array.from(held.arrays.get("explained")?.data ?? []);
  const size = Math.min(LARGEST, width);
  return (
    <>
      <ProbeSets store={store} held={held} />
      <p class="said">
        {points.length} samples; principal components 1 and 2, {shares.slice(0, 2).map(formatShare).join(" and ")} of
        the variance
      </p>
      <Scatter
        points={points}
        bounds={bounds}
        size={size}
        name={name}
        label="samples by principal components"
        selected={store.sample.value}
        onSelect={(sample) => store.choose({ sample })}
      />
      {groups.length > 0 && groups.length <= MOST_GROUPS && (
        <ul class="scatter-groups">
          {groups.map((group) => (
            <li key={group}>
              <svg width={10} height={10} aria-hidden="true">
                <Mark group={group} x={5} y={5} radius={4} />
              </svg>
              <bdi>{nameOf(group)}</bdi>
            </li>
          ))}
        </ul>
      )}
      {film.length > 1 && (
        <>
          <h5>
            over training <span class="quiet">same axes</span>
          </h5>
          <div class="film">
            {film.map((frame) => (
              <button
                type="button"
                class="sample"
                key={frame.step}
                aria-pressed={frame.step === held.step}
                aria-label={`Go to step ${frame.step}`}
                onClick={() => store.goTo(frame.step)}
              >
                <Scatter
                  points={pointsOf(frame)}
                  bounds={bounds}
                  size={frameSize(film.length, width)}
                  name={name}
                  label={`samples at step ${frame.step}`}
                />
                <span class="caption number">{frame.step}</span>
              </button>
            ))}
          </div>
        </>
      )}
    </>
  );
}

function pointsOf({ arrays }: Held): Point[] {
  const values = arrays.get("values");
  const labels = arrays.get("labels")?.data;
  const [samples = 0, components = 0] = values?.shape ?? [];
  if (values === undefined || components < 2) return [];
  return Array.from({ length: samples }, (_, index) => ({
    index,
    x: values.data[index * components] ?? Number.NaN,
    y: values.data[index * components + 1] ?? Number.NaN,
    group: labels?.[index] ?? null,
  }));
}
