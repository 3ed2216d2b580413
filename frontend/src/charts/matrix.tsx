import type { JSX } from "preact";
import { useCallback, useState } from "preact/hooks";
import type { ColourScale } from "../colour";
import { formatNumber } from "../format";
import { Canvas, type Inks } from "./canvas";
import { paintMap, type SampleMap } from "./map";
import "./matrix.css";

const ZOOMS = [1, 2, 4, 8] as const;
const LONGEST = 4096; // CSS pixels of a canvas
const LEAST_HEIGHT = 24;

interface Cell {
  readonly row: number;
  readonly column: number;
}

interface MatrixProps {
  /** [rows, columns]. */
  readonly map: SampleMap;
  readonly scale: ColourScale;
  readonly width: number;
  /** Greatest height without zoom. */
  readonly height: number;
  readonly label: string;
  /** What a place is called; rows and columns by their numbers where it is missing. */
  readonly place?: (row: number, column: number) => string;
}

/** A matrix as a heat map, with zoom; the number at a place is told by mouse and arrow keys. */
export function Matrix({ map, scale, width, height, label, place }: MatrixProps): JSX.Element {
  const [rows = 1, columns = 1] = map.shape;
  const [zoom, setZoom] = useState<number>(1);
  const [cell, setCell] = useState<Cell | null>(null);
  const [across, down] = sized(rows, columns, width, height);
  const factor = Math.min(zoom, LONGEST / Math.max(across, down));
  const [drawnWidth, drawnHeight] = [Math.round(across * factor), Math.round(down * factor)];
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) => {
      context.imageSmoothingEnabled = false;
      paintMap(context, inks, map, scale, drawnWidth, drawnHeight, null);
    },
    [map, scale, drawnWidth, drawnHeight],
  );
  const point = (event: PointerEvent) => {
    const { left, top } = (event.currentTarget as Element).getBoundingClientRect();
    const column = Math.floor(((event.clientX - left) / drawnWidth) * columns);
    const row = Math.floor(((event.clientY - top) / drawnHeight) * rows);
    setCell(row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : null);
  };
  const step = (event: KeyboardEvent) => {
    const [by, side] = STEPS[event.key] ?? [0, 0];
    if (by === 0 && side === 0) return;
    event.preventDefault();
    const { row, column } = cell ?? { row: -by, column: -side };
    setCell({ row: clamp(row + by, rows), column: clamp(column + side, columns) });
  };
  return (
    <div class="matrix">
      <div class="matrix-bar">
        <span class="number" aria-live="polite">
          {cell === null
            ? `${rows} × ${columns}`
            : `${place?.(cell.row, cell.column) ?? `[${cell.row}, ${cell.column}]`}  ${told(map, cell, columns)}`}
        </span>
        <span class="matrix-zooms">
          {ZOOMS.map((one) => (
            <button type="button" class="plain" key={one} aria-pressed={zoom === one} onClick={() => setZoom(one)}>
              {one === 1 ? "Fit" : `${one}×`}
            </button>
          ))}
        </span>
      </div>
      <div
        class="matrix-scroll"
        role="img"
        aria-label={`${label}, ${rows} by ${columns}; arrow keys tell its numbers`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and its numbers are read with the arrow keys
        tabIndex={0}
        style={{ maxHeight: `${Math.max(height, LEAST_HEIGHT) + 12}px` }}
        onKeyDown={step}
      >
        <div
          class="matrix-drawn"
          style={{ width: `${drawnWidth}px`, height: `${drawnHeight}px` }}
          onPointerMove={point}
          onPointerLeave={() => setCell(null)}
        >
          <Canvas width={drawnWidth} height={drawnHeight} draw={draw} />
          {cell !== null && (
            <span
              class="matrix-cell"
              style={{
                left: `${(100 * cell.column) / columns}%`,
                top: `${(100 * cell.row) / rows}%`,
                width: `${100 / columns}%`,
                height: `${100 / rows}%`,
              }}
            />
          )}
        </div>
      </div>
    </div>
  );
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function clamp(value: number, count: number): number {
  return Math.min(count - 1, Math.max(0, value));
}

function told({ values }: SampleMap, { row, column }: Cell, columns: number): string {
  return formatNumber(values[row * columns + column] ?? Number.NaN);
}

/** As large as the room allows with square cells; cells of what is far longer one way than the other are not square. */
function sized(rows: number, columns: number, width: number, height: number): [number, number] {
  const cell = Math.min(width / columns, height / rows, 24);
  return [
    Math.max(Math.min(width, columns * 6), Math.round(columns * cell)),
    Math.max(Math.min(height, LEAST_HEIGHT), Math.round(rows * cell)),
  ];
}
