// The buttons in the corner of the structure.

import type { ComponentChildren, JSX } from "preact";
import { notDrawn } from "../download";

export interface ButtonsProps {
  /** Whether all edges tell the shapes of their tensors. */
  labels: boolean;
  onLabels: (labels: boolean) => void;
  /** Open all containers, and all folds at one repetition, or at all of them. */
  onExpandAll: (unfolded: boolean) => void;
  onCollapseAll: () => void;
  onZoom: (factor: number) => void;
  onWhole: () => void;
}

export function Buttons({ labels, onLabels, onExpandAll, onCollapseAll, onZoom, onWhole }: ButtonsProps): JSX.Element {
  return (
    <div class="structure-buttons" {...notDrawn}>
      <div role="toolbar" aria-label="Open and close">
        <Button
          name="Expand all"
          title="Expand all: every module, and one of each fold (with Shift: all of every fold)"
          onPress={(event) => onExpandAll(event.shiftKey)}
        >
          <path d="M4.5 7 8 3.5 11.5 7M4.5 9 8 12.5 11.5 9" />
        </Button>
        <Button
          name="Unfold all"
          title="Expand all, with every repetition of every fold"
          onPress={() => onExpandAll(true)}
        >
          <path d="M2 3h5v4H2zM9 3h5v4H9zM2 9h5v4H2zM9 9h5v4H9z" />
        </Button>
        <Button name="Collapse all" onPress={onCollapseAll}>
          <path d="M4.5 3 8 6.5 11.5 3M4.5 13 8 9.5 11.5 13" />
        </Button>
        <Button name="Shapes on edges" pressed={labels} onPress={() => onLabels(!labels)}>
          <path d="M3 2v12M6 5h7M6 8h5M6 11h7" />
        </Button>
      </div>
      <div role="toolbar" aria-label="Zoom">
        <Button name="Zoom out" onPress={() => onZoom(1 / 1.3)}>
          <path d="M3.5 8h9" />
        </Button>
        <Button name="Zoom in" onPress={() => onZoom(1.3)}>
          <path d="M3.5 8h9M8 3.5v9" />
        </Button>
        <Button name="Show the whole model" onPress={onWhole}>
          <path d="M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3" />
        </Button>
      </div>
    </div>
  );
}

interface ButtonProps {
  name: string;
  title?: string;
  pressed?: boolean;
  onPress: (event: MouseEvent) => void;
  children: ComponentChildren;
}

function Button({ name, title = name, pressed, onPress, children }: ButtonProps) {
  return (
    <button type="button" title={title} aria-label={name} aria-pressed={pressed} onClick={onPress}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {children}
      </svg>
    </button>
  );
}
