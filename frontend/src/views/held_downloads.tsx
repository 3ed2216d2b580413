import type { JSX } from "preact";
import type { Held } from "../pictures";
import type { Store } from "../store";
import { tensorTable } from "../tables";
import { Downloads } from "./downloads";

interface HeldDownloadsProps {
  readonly store: Store;
  readonly held: Held | null;
  readonly name: string;
}

/** Saves what is kept of a layer; nothing where nothing is. */
export function HeldDownloads({ store, held, name }: HeldDownloadsProps): JSX.Element | null {
  const values = held?.arrays.get("values") ?? held?.arrays.values().next().value;
  return values === undefined ? null : <Downloads store={store} name={name} table={() => tensorTable(values)} />;
}
