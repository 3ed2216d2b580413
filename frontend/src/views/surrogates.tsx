import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { attributionScale } from "../attribution";
import { stepScale } from "../charts/columns";
import { byMagnitude, FeatureBars } from "../charts/feature_bars";
import { Line } from "../charts/line";
import { formatNumber } from "../format";
import type { Store } from "../store";
import { doubtOf, fitOf, importanceHelp, scoreLabel, scoreText, titleOf, titleOfName } from "../surrogate_words";
import type { Imitation, Scores } from "../surrogates";
import { visible } from "../token_text";
import type { Surrogate } from "../wire";
import { FlagGlyph } from "./flag";
import { SurrogateTree } from "./surrogate_tree";
import "./surrogates.css";
import { Waiting } from "./words";

const SPARK_WIDTH = 84;
const SPARK_HEIGHT = 22;
const MOST_FEATURES = 12;

/** The simple models that imitate the network: how well each does, what it looks at, and the tree itself. */
export function Surrogates({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element | null {
  const { all, listed, shown } = store.surrogates;
  const chosen = shown.value;
  if (store.tags.value.surrogate.length === 0 || (store.layer.value !== null && chosen === null)) return null;
  return (
    <section class="panel" id="surrogates" aria-label="Surrogates" data-testid="surrogates">
      {store.surrogates.enlarged.value !== null && <h3 class="off-screen">What imitates the model</h3>}
      <div class="panel-title">
        <h4>Surrogates</h4>
      </div>
      <p class="quiet note">Simple models that imitate what this network says.</p>
      {chosen === null ? (
        <Waiting resource={all.value}>
          <p>No surrogate was saved yet.</p>
        </Waiting>
      ) : (
        <>
          <ScoreTable store={store} listed={listed.value} chosen={chosen} />
          {chosen.surrogate === null ? (
            <p class="problem">{chosen.problem}</p>
          ) : (
            <Chosen store={store} surrogate={chosen.surrogate} step={chosen.step} width={width} />
          )}
        </>
      )}
    </section>
  );
}

interface ScoreTableProps {
  readonly store: Store;
  readonly listed: readonly Imitation[];
  readonly chosen: Imitation;
}

/** A row for each: its score on samples held out, beside that on those it was fitted to, now and over the steps. */
function ScoreTable({ store, listed, chosen }: ScoreTableProps): JSX.Element {
  const scores = store.surrogates.scores.value.data;
  return (
    <table class="scores">
      <thead>
        <tr>
          <td />
          <th scope="col" title="On samples that it was not fitted to">
            held out
          </th>
          <th scope="col" title="On the samples that it was fitted to">
            training
          </th>
          <th scope="col" title="Held out over the steps; faint behind it, on those it was fitted to">
            over steps
          </th>
        </tr>
      </thead>
      <tbody>
        {listed.map((imitation) => (
          <ScoreRow
            key={imitation.name}
            store={store}
            imitation={imitation}
            scores={scores?.get(imitation.name) ?? null}
            chosen={imitation === chosen}
          />
        ))}
      </tbody>
    </table>
  );
}

interface ScoreRowProps {
  readonly store: Store;
  readonly imitation: Imitation;
  readonly scores: Scores | null;
  readonly chosen: boolean;
}

function ScoreRow({ store, imitation, scores, chosen }: ScoreRowProps): JSX.Element {
  const { name, surrogate } = imitation;
  const [kind, of] = surrogate === null ? titleOfName(name) : titleOf(surrogate);
  return (
    <tr class={chosen ? "chosen" : ""}>
      <th scope="row">
        <button
          type="button"
          aria-pressed={chosen}
          onClick={() => store.choose({ surrogate: name, output: null, branches: null })}
        >
          <b>{kind}</b>
          <bdi>
            {of}
            {surrogate !== null && ` · ${scoreLabel(surrogate)}`}
          </bdi>
        </button>
      </th>
      <td class="number">
        <b>{surrogate === null ? "–" : scoreText(surrogate, surrogate.score)}</b>
      </td>
      <td class="number quiet">{surrogate === null ? "–" : scoreText(surrogate, surrogate.training_score)}</td>
      <td>{scores !== null && <Spark store={store} scores={scores} kind={kind} />}</td>
    </tr>
  );
}

function Spark({ store, scores, kind }: { store: Store; scores: Scores; kind: string }): JSX.Element {
  const { steps, heldOut, training } = scores;
  const x = useMemo(
    () => stepScale(store.span.value, SPARK_WIDTH, 3, store.axis.value),
    [store.span.value, store.axis.value],
  );
  const points = useMemo(() => ({ steps, values: heldOut }), [steps, heldOut]);
  const behind = useMemo(() => ({ steps, values: training }), [steps, training]);
  const last = formatNumber(heldOut.at(-1) ?? Number.NaN);
  const shares = [...heldOut, ...training].every((score) => !(score < 0)); // R² can be less than nothing
  return (
    <Line
      points={points}
      {...(shares && { behind })}
      kind={shares ? "fraction" : "linear"}
      x={x}
      height={SPARK_HEIGHT}
      step={store.step.value}
      label={`Held-out score of the ${kind} at ${steps.length} steps, ${last} at the last`}
    />
  );
}

interface ChosenProps {
  readonly store: Store;
  readonly surrogate: Surrogate;
  readonly step: number;
  readonly width: number;
}

function Chosen({ store, surrogate, step, width }: ChosenProps): JSX.Element {
  const doubt = doubtOf(surrogate);
  const [kind, of] = titleOf(surrogate);
  const enlarged = store.surrogates.enlarged.value !== null;
  return (
    <>
      <h5 class="surrogate-name">
        {kind} <bdi>{of}</bdi> <span class="quiet number">at step {step}</span>
      </h5>
      <p class="surrogate-fit">{fitOf(surrogate)}</p>
      {doubt !== "" && (
        <p class="doubt" role="note">
          <FlagGlyph flag={{ severity: "warning", own: true, reached: true }} /> {doubt}
        </p>
      )}
      {surrogate.tree.length > 0 && (
        <>
          <div class="panel-title tree-title">
            <h5>tree</h5>
            <button
              type="button"
              data-testid="enlarge-tree"
              aria-pressed={enlarged}
              onClick={() => store.choose({ tree: !enlarged, branches: null })}
            >
              {enlarged ? "Show it here" : "Enlarge"}
            </button>
          </div>
          {!enlarged && <SurrogateTree store={store} surrogate={surrogate} width={width} />}
        </>
      )}
      <Importances store={store} surrogate={surrogate} />
    </>
  );
}

/** The features by how much the surrogate makes of them. */
function Importances({ store, surrogate }: Pick<ChosenProps, "store" | "surrogate">): JSX.Element | null {
  const { importances, feature_names: names, output_names: outputs } = surrogate;
  const row = store.surrogates.output.value;
  const scale = useMemo(() => {
    const values = Float64Array.from(importances.flat());
    return attributionScale(
      values,
      values.some((value) => value < 0),
      true,
    );
  }, [importances]);
  const features = useMemo(
    () =>
      byMagnitude(
        (importances[row] ?? []).map((attribution, at) => ({ name: names[at] ?? "", value: null, attribution })),
      ),
    [importances, row, names],
  );
  if (scale === null || features.length === 0) return null;
  const all = store.allFeatures.value;
  return (
    <div class="importances" data-testid="importances">
      <div class="panel-title">
        <h5 title={importanceHelp(surrogate)}>{scale.kind === "signed" ? "coefficients" : "importances"}</h5>
        {importances.length > 1 && (
          <label class="quiet">
            for{" "}
            <select
              aria-label="Output"
              data-testid="output-picker"
              value={row}
              onChange={(event) => store.choose({ output: Number(event.currentTarget.value) })}
            >
              {importances.map((_, at) => (
                <option key={at} value={at}>
                  {visible(outputs[at] ?? `output ${at}`)}
                </option>
              ))}
            </select>
          </label>
        )}
        {features.length > MOST_FEATURES && (
          <button type="button" class="plain" aria-pressed={all} onClick={() => store.choose({ allFeatures: !all })}>
            {all ? `The first ${MOST_FEATURES}` : `All ${features.length} features`}
          </button>
        )}
      </div>
      <p class="quiet note">{importanceHelp(surrogate)}</p>
      <FeatureBars
        features={all ? features : features.slice(0, MOST_FEATURES)}
        scale={scale}
        label={`What the surrogate makes of the features${importances.length > 1 ? `, for ${outputs[row] ?? row}` : ""}`}
      />
    </div>
  );
}
