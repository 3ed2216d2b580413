import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { attributionScale } from "../attribution";
import { blockOf, parameterPlace } from "../blocks";
import { Legend } from "../charts/legend";
import { AttributionMap, pictureOf } from "../charts/map";
import { Matrix } from "../charts/matrix";
import { Vector } from "../charts/vector";
import { formatNumber, formatShape } from "../format";
import type { Held } from "../pictures";
import type { Tensor } from "../safetensors";
import type { Store } from "../store";
import { tensorTable } from "../tables";
import { visible } from "../token_text";
import { useSideId, useSideName, useTwin } from "./compare";
import { Downloads } from "./downloads";
import { Waiting } from "./words";

const TILE = 48;
const MOST_FILTERS = 128;
const MOST_COLOURS = 3;

interface PanelProps {
  readonly store: Store;
  readonly width: number;
}

/** The parameters of the selected layer themselves: filters as pictures, matrices as heat maps, vectors as bars. */
export function Weights({ store, width }: PanelProps): JSX.Element {
  const held = store.pictures.weights.value;
  const chosen = chosenOf(store);
  const twin = useTwin(store);
  return (
    <section class="panel" id={useSideId("weights")} aria-label={useSideName("Weights")}>
      <div class="panel-title">
        <h4>Weights</h4>
        {chosen !== undefined && <span class="quiet number">at step {chosen.step}</span>}
        {chosen?.arrays.has("values") && (
          <Downloads
            store={store}
            name={chosen.name}
            table={() => tensorTable(chosen.arrays.get("values") as Tensor)}
          />
        )}
      </div>
      {held.data === null || chosen?.arrays.get("values") === undefined ? (
        <Waiting resource={held}>
          <p>No parameters of this layer in this run. To see them, call</p>
          <pre>scope.weights(step=step)</pre>
        </Waiting>
      ) : (
        <>
          {held.data.length > 1 && (
            <fieldset class="chips" aria-label="Parameters of this layer">
              {held.data.map(({ name }) => (
                <button
                  type="button"
                  key={name}
                  aria-pressed={name === chosen.name}
                  onClick={() => store.choose({ parameter: name })}
                >
                  <bdi>{visible(name)}</bdi>
                </button>
              ))}
            </fieldset>
          )}
          <Parameter held={chosen} twin={twin === null ? undefined : chosenOf(twin)} width={width} />
        </>
      )}
    </section>
  );
}

/** The parameter that is shown: the layer's first, if none was chosen. */
function chosenOf(store: Store): Held | undefined {
  const held = store.pictures.weights.value.data;
  return held?.find(({ name }) => name === store.chosen("parameter")) ?? held?.[0];
}

interface ParameterProps {
  readonly held: Held;
  /** The same of the other side, on whose scale it is, too. */
  readonly twin: Held | undefined;
  readonly width: number;
}

function Parameter({ held, twin, width }: ParameterProps): JSX.Element {
  const values = held.arrays.get("values") as Tensor;
  const own = Array.from(held.arrays.get("shape")?.data ?? values.shape);
  const beside = twin?.arrays.get("values");
  const scale = useMemo(() => {
    const all = [values, ...(beside === undefined ? [] : [beside])].flatMap(({ data }) => Array.from(data, Number));
    return attributionScale(Float64Array.from(all), true, false);
  }, [values, beside]);
  const reduced = own.some((size, dim) => size !== values.shape[dim]);
  if (scale === null) return <p class="empty">It holds no finite numbers.</p>;
  const filters = held.arrays.get("filters")?.data[0] === 1;
  return (
    <>
      <p class="said">
        {formatShape(own)}
        {reduced && !filters && "; of each block of neighbours the one of largest magnitude is shown"}
        {reduced && filters && `; ${values.shape[0]} of ${own[0]} filters`}
      </p>
      {values.shape.length < 2 || values.data.length === Math.max(...values.shape) ? (
        <Bars values={values} width={width} />
      ) : filters ? (
        <Filters values={values} own={own[0] ?? 1} />
      ) : (
        <>
          <Legend scale={scale} title="" />
          <Matrix
            map={{ shape: [values.shape[0] ?? 1, values.data.length / (values.shape[0] || 1)], values: values.data }}
            scale={scale}
            width={width}
            height={260}
            label={`${held.name} as a matrix`}
            place={(row, column) => parameterPlace(values.shape, own, row, column)}
          />
          <Norms norms={held.arrays.get("norms")} width={width} />
        </>
      )}
    </>
  );
}

function Bars({ values, width }: { readonly values: Tensor; readonly width: number }): JSX.Element {
  const numbers = Array.from(values.data).filter(Number.isFinite);
  return (
    <>
      <Vector
        values={{ shape: [values.data.length], data: values.data }}
        size={72}
        width={width}
        label={`${values.data.length} elements`}
      />
      <p class="said number">
        from {formatNumber(Math.min(...numbers))} to {formatNumber(Math.max(...numbers))}
      </p>
    </>
  );
}

/** How large each row of a matrix is: units that have become idle stand out. */
function Norms({ norms, width }: { readonly norms: Tensor | undefined; readonly width: number }): JSX.Element | null {
  if (norms === undefined) return null;
  return (
    <>
      <h5>norm of each row</h5>
      <Vector values={norms} size={40} width={width} label={`norms of ${norms.data.length} rows`} />
    </>
  );
}

/** Kernels from few channels as pictures, each stretched to its own range; more than three channels side by side. */
function Filters({ values, own }: { readonly values: Tensor; readonly own: number }): JSX.Element {
  const [count = 0, colours = 1, ...grid] = values.shape;
  const [height = 1, width = 1] = grid.length === 1 ? [1, grid[0]] : grid;
  const area = height * width;
  const coloured = colours === MOST_COLOURS || colours === 1;
  const shape = coloured ? [count, colours, height, width] : [count * colours, 1, height, width];
  const batch = { shape, data: values.data };
  const shown = Math.min(shape[0] ?? 0, MOST_FILTERS);
  const number = (filter: number) => blockOf(filter, count, own)[0]; // of each so many the first is there
  const name = (index: number) =>
    coloured ? `${number(index)}` : `${number(Math.floor(index / colours))}.${index % colours}`;
  return (
    <>
      <p class="said">
        each stretched to its own range
        {shown < (shape[0] ?? 0) ? `; the first ${shown} of ${shape[0]}` : ""}
      </p>
      <div class="tiles" data-testid="filters">
        {area > 0 &&
          Array.from({ length: shown }, (_, index) => (
            <figure class="tile" key={index}>
              <AttributionMap
                map={null}
                scale={null}
                picture={pictureOf(batch, index)}
                size={TILE}
                label={`filter ${name(index)}`}
              />
              <figcaption class="caption number">{name(index)}</figcaption>
            </figure>
          ))}
      </div>
    </>
  );
}
