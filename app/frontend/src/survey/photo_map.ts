/** Where the photos were taken, drawn as they arrive. No map is behind it: it works without one. */

import type { SurveyApi, SurveyFile } from "./survey_api";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 800;
const HEIGHT = 260;
const MARGIN = 24;
const METRES_PER_DEGREE = 111_320;
/** Photos that arrive together are asked for together. */
const CALM_MS = 400;

export class PhotoMap {
  private readonly picture: SVGSVGElement;
  private readonly count: HTMLElement;
  private pending: Promise<number> | null = null;

  constructor(
    element: HTMLElement,
    private readonly api: SurveyApi,
  ) {
    this.picture = element.querySelector<SVGSVGElement>(".photo-map")!;
    this.count = element.querySelector<HTMLElement>(".photo-count")!;
    this.picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  }

  /** Draw what is there; resolves to the number of photos. */
  refresh(): Promise<number> {
    this.pending ??= new Promise<number>((resolve, reject) => {
      setTimeout(() => {
        this.pending = null;
        this.api.files().then((files) => resolve(this.draw(files)), reject);
      }, CALM_MS);
    });
    return this.pending;
  }

  private draw(files: SurveyFile[]): number {
    const photos = files.filter((file) => file.kind === "photo");
    const others = files.filter((file) => file.kind !== "photo").map((file) => file.name);
    const counted = photos.length || !others.length ? [`${photos.length} photos`] : [];
    this.count.textContent = [...counted, ...others].join(", ");
    const placed = photos.filter((photo) => photo.position !== null);
    this.picture.toggleAttribute("hidden", placed.length < 2);
    if (placed.length < 2) return photos.length;
    placed.sort((a, b) => (a.facts.captured_at ?? a.name).localeCompare(b.facts.captured_at ?? b.name));
    const points = project(placed.map((photo) => photo.position!));
    const path = document.createElementNS(SVG, "polyline");
    path.setAttribute("points", points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
    const dots = points.map(([x, y], index) => {
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("cx", x.toFixed(1));
      dot.setAttribute("cy", y.toFixed(1));
      dot.setAttribute("r", "4");
      const title = document.createElementNS(SVG, "title");
      title.textContent = placed[index]!.name;
      dot.append(title);
      return dot;
    });
    this.picture.replaceChildren(path, ...dots);
    return photos.length;
  }
}

/** Longitudes and latitudes as places of the picture, north up, both axes at one scale. */
export function project(positions: [number, number][]): [number, number][] {
  const middle = positions.reduce((sum, [, latitude]) => sum + latitude, 0) / positions.length;
  const east = METRES_PER_DEGREE * Math.cos((middle * Math.PI) / 180);
  const metres = positions.map(([longitude, latitude]) => [longitude * east, latitude * METRES_PER_DEGREE] as const);
  const x = metres.map((place) => place[0]);
  const y = metres.map((place) => place[1]);
  const [west, south] = [Math.min(...x), Math.min(...y)];
  const span = [Math.max(...x) - west, Math.max(...y) - south] as const;
  const scale = Math.min((WIDTH - 2 * MARGIN) / (span[0] || 1), (HEIGHT - 2 * MARGIN) / (span[1] || 1));
  const left = (WIDTH - span[0] * scale) / 2;
  const bottom = (HEIGHT + span[1] * scale) / 2;
  return metres.map(([e, n]) => [left + (e - west) * scale, bottom - (n - south) * scale]);
}
