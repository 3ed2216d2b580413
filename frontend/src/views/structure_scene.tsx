// Everything that zoom and pan move. Each part is the same element again while nothing that it shows changes.

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { contentCount, foldState, hierarchyOf, labelOf, visibleBox } from "../layout/hierarchy";
import type { PlacedBox, PlacedEdge } from "../layout/picture";
import type { StructureProps } from "./structure";
import { Box, Wall } from "./structure_boxes";
import { Edges, Labels, Lit, Tags } from "./structure_edges";
import { FarBoxes, FarWalls } from "./structure_far";
import type { Flags } from "./structure_flags";
import { FoldBox } from "./structure_folds";
import type { LaidOut } from "./structure_layout";
import { meets, type Region, showsEdge } from "./structure_region";
import { edgesOf, search } from "./structure_search";
import { paintsOf } from "./structure_strip";
import { shapeText, wordsOf } from "./structure_text";

export interface SceneProps extends StructureProps {
  laidOut: LaidOut;
  region: Region;
  /** The box under the pointer. */
  hovered: string | null;
  /** Whether all edges tell the shapes of their tensors. */
  labels: boolean;
  /** Prefix of the ids in <defs>. */
  id: string;
  onShow: (fold: string, state: number | "all") => void;
  flags: Flags;
}

export function Scene(props: SceneProps): JSX.Element {
  const { graph, selected, hovered, reach, laidOut, region, labels } = props;
  const { picture } = laidOut;
  const seen = useMemo(
    () => ({
      boxes: picture.boxes.filter((box) => meets(box, region)),
      edges: picture.edges.filter(({ points }) => showsEdge(region, points)),
    }),
    [picture, region],
  );
  const byId = useMemo(() => new Map(picture.boxes.map((box) => [box.id, box])), [picture]);
  const ofSelected = useMemo(() => edgesOf(graph, selected), [graph, selected]);
  const lit = useMemo(
    () => new Set([...ofSelected, ...edgesOf(graph, hovered), ...(reach?.edges ?? [])]),
    [graph, ofSelected, hovered, reach],
  );
  const bright = useBright(props);
  const back = useMemo(() => {
    const open = seen.boxes.filter(({ expanded }) => expanded);
    return (
      <>
        {region.fine ? (
          <g>
            {open.map((box) => (
              <Wall key={box.id} box={box} />
            ))}
          </g>
        ) : (
          <FarWalls boxes={seen.boxes} />
        )}
        <Edges edges={seen.edges} dim={bright !== null} heads={region.fine} />
      </>
    );
  }, [seen, region, bright]);
  const boxes = useBoxes(props, seen.boxes, bright);
  const front = useMemo(() => {
    if (!region.fine) return null;
    const isLabelled = ({ tensors }: PlacedEdge) => labels || tensors.some((tensor) => ofSelected.has(tensor));
    const first = ({ tensors }: PlacedEdge) => (tensors.some((tensor) => ofSelected.has(tensor)) ? 0 : 1);
    const labelled = seen.edges.filter(isLabelled).sort((a, b) => first(a) - first(b));
    const textOf = ({ tensors }: PlacedEdge) => {
      const shapes = new Set(tensors.map((i) => shapeText(graph.edges[i]?.shape ? [graph.edges[i].shape] : [])));
      const [one = "", ...more] = [...shapes].filter(Boolean);
      return more.length > 0 ? `${one} +${more.length}` : one;
    };
    return <Labels boxes={seen.boxes} edges={labelled} textOf={textOf} />;
  }, [graph, seen, region, labels, ofSelected]);
  return (
    <>
      {back}
      <Lit edges={picture.edges} stubs={picture.stubs} lit={lit} />
      {boxes}
      {region.fine && (
        <Tags
          stubs={picture.stubs.filter(({ box }) => meets(byId.get(box) ?? NOWHERE, region))}
          boxOf={(box) => byId.get(box)}
          labelOf={(box) => labelOf(graph, box)}
          lit={lit}
          onSelect={props.onSelect}
        />
      )}
      {front}
    </>
  );
}

const NOWHERE = { x: 0, y: 0, width: 0, height: 0 };

/** Boxes that a search or the reach of a node keeps bright; null if all are. */
function useBright({ graph, query, reach, laidOut }: SceneProps): ReadonlySet<string> | null {
  const hits = useMemo(() => search(graph, laidOut.expanded, query)?.boxes ?? null, [graph, laidOut, query]);
  return hits ?? reach?.nodes ?? null;
}

function useBoxes(props: SceneProps, seen: readonly PlacedBox[], bright: ReadonlySet<string> | null): JSX.Element {
  const { graph, selected, paint, laidOut, region, query, id, flags } = props;
  const callbacks = useRef(props);
  callbacks.current = props;
  const { expanded } = laidOut;
  const holder = selected === null ? null : visibleBox(hierarchyOf(graph), expanded, selected);
  const scale = region.fine ? 1 : region.k;
  return useMemo(() => {
    const hierarchy = hierarchyOf(graph);
    const hatch = `${id}-hatch`;
    if (!region.fine) return <FarBoxes {...{ graph, boxes: seen, paint, selected: holder, bright, hatch, k: scale }} />;
    const stop = seen.some((box) => box.id === holder) ? holder : seen[0]?.id;
    const searching = query.trim() !== "";
    const draw = (box: PlacedBox) => {
      const common = {
        box,
        hatch,
        selected: box.id === selected,
        stop: box.id === stop,
        holdsSelected: box.id === holder && !box.expanded,
        found: flags.get(box.id)?.words ?? "",
        light: bright ? (bright.has(box.id) ? (searching ? "hit" : "") : "dim") : "",
        onSelect: (chosen: string) => callbacks.current.onSelect(chosen),
        onToggle: (chosen: string) => callbacks.current.onToggle(chosen),
      } as const;
      const fold = hierarchy.folds.get(box.id);
      if (fold)
        return (
          <FoldBox
            key={box.id}
            {...common}
            graph={graph}
            fold={fold}
            state={foldState(hierarchy, expanded, fold.id)}
            paints={paintsOf(graph, fold, paint)}
            onShow={(chosen, state) => callbacks.current.onShow(chosen, state)}
          />
        );
      const node = graph.nodes.get(box.id);
      if (!node) return null;
      const inside = contentCount(hierarchy, box.id);
      return (
        <Box key={box.id} {...common} node={node} words={wordsOf(graph, node)} inside={inside} paint={paint(node)} />
      );
    };
    return <g>{seen.map(draw)}</g>;
  }, [graph, expanded, seen, bright, selected, holder, paint, region.fine, scale, query, id, flags]);
}
