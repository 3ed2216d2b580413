import type { JSX } from "preact";
import { formatNumber } from "../format";
import type { Store } from "../store";
import { Waiting } from "./words";

/** The inputs that excite channels of the selected layer most, as found at the current step. */
export function Maximizations({ store }: { readonly store: Store }): JSX.Element {
  const images = store.detail.images.value;
  return (
    <section class="panel" aria-label="Activation maximization">
      <div class="panel-title">
        <h4>Activation maximization</h4>
        {images.data !== null && <span class="quiet number">at step {images.data.step}</span>}
      </div>
      {images.data === null ? (
        <Waiting resource={images}>
          <p>No images of this layer in this run. For chosen layers, call</p>
          <pre>scope.maximize(step=step, layers=["{store.layer.value}"])</pre>
        </Waiting>
      ) : (
        <ul class="images">
          {images.data.units.map(({ channel, url, objective }) => (
            <li key={channel}>
              <img
                data-testid="maximization-image"
                src={url}
                width={84}
                height={84}
                alt={`Input that excites channel ${channel} most`}
              />
              <span class="caption number">
                ch {channel}
                {objective === null ? "" : ` · ${formatNumber(objective)}`}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
