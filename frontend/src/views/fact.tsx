import type { ComponentChildren, JSX } from "preact";

/** One line of a list of facts (`dl.facts`): what it is, and what it says. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
