/** The API of the application, with its shapes and its errors. */

import type { Units } from "./format";

export type Position = [easting: number, northing: number, elevation: number];
export type Bounds = [west: number, south: number, east: number, north: number];

export interface Survey {
  id: string;
  site_id: string;
  name: string;
  flown_on: string;
  state: string;
  epsg: number;
  crs_proj4: string;
  vertical_datum: string;
  bounds: Bounds;
  /** Longitude and latitude of the corners: south-west, south-east, north-east, north-west. */
  corners_lonlat?: [number, number][] | null;
  /** Elevation of the origin of the model's local frame, in the survey's vertical datum. */
  origin_elevation_m?: number | null;
  gsd_m: number;
  cell_size_m: number;
  model_url: string | null;
  orthomosaic_url: string | null;
  point_cloud_url: string | null;
  cameras_url: string | null;
  tiles_url: string | null;
  can_edit: boolean;
  /** The sealed period that it lies in. */
  closed_in: string | null;
  /** When a program looked for piles last. */
  proposals_found_at: string | null;
  previous_id: string | null;
  units: Units;
  /** Sum of the confirmed piles, null without any. */
  net_m3: number | null;
  net_u95_m3: number | null;
}

/** Rings of map positions, each closed; walls are edges of the outer ring. */
export interface Toe {
  coordinates: Position[][];
  walls: number[];
}

export type BaseMethod =
  | "plane"
  | "triangulated"
  | "smooth"
  | "lowest"
  | "highest"
  | "average"
  | "fixed"
  | "survey"
  | "design";

export interface Base {
  method: BaseMethod;
  elevation_m?: number;
  survey_id?: string;
}

export interface BasePlane {
  e0: number;
  n0: number;
  z0: number;
  dz_de: number;
  dz_dn: number;
}

/** Mass of a pile as it lies there, and without its water. */
export interface Tonnes {
  wet_t: number;
  wet_u95_t: number;
  dry_t: number;
  dry_u95_t: number;
}

export interface VolumeQuestion {
  toe: Toe;
  base: Base;
  material_id: string | null;
  compares_bases: boolean;
}

export interface Volume {
  area_m2: number;
  area_u95_m2: number;
  fill_m3: number;
  fill_u95_m3: number;
  cut_m3: number;
  cut_u95_m3: number;
  net_m3: number;
  net_u95_m3: number;
  /** What uneven ground may hide under the pile; no other interval holds it. */
  ground_u95_m3: number;
  height_max_m: number;
  height_max_u95_m: number;
  coverage: number;
  tonnes: Tonnes | null;
  base_plane: BasePlane | null;
  budget: { name: string; sigma_m3: number }[];
  warnings: string[];
}

export interface SavedToe {
  id: string;
  pile_id: string;
  name: string;
  material_id: string | null;
  toe: Toe;
  base: Base;
  volume: Volume | null;
  drawn_by: string;
  drawn_at: string;
  is_confirmed: boolean;
  /** How it came over from the survey before; null where somebody drew it. */
  carried: { change: Change; confidence: number; reasons: string[] } | null;
  /** Version of the toe, where the list tells it. */
  etag?: string;
}

/** What became of a pile since the survey before. */
export type Change = "unchanged" | "moved" | "grown" | "shrunk" | "split" | "merged" | "regrouped" | "new";

export interface Proposal {
  number: number;
  toe: Toe;
  confidence: number;
  reasons: string[];
  pile_id: string | null;
  name: string;
  material_id: string | null;
  change: Change;
  /** Names of the piles of the survey before that it is made of. */
  was: string[];
}

export interface Material {
  id: string;
  name: string;
  colour: string | null;
}

/** What is saved of a pile. */
export interface ToeDraft {
  name: string;
  pile_id: string | null;
  material_id: string | null;
  toe: Toe;
  base: Base;
}

export interface Grid {
  rows: number;
  cols: number;
  west_m: number;
  north_m: number;
  cell_size_m: number;
  /** Rows from north; NaN in holes. */
  values: Float32Array;
}

export interface Profile {
  distance_m: number[];
  elevation_m: (number | null)[];
}

/** A refusal of the server, in the words of its problem document (RFC 9457). */
export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail || title);
  }
}

/** Words for a person about an error of a request. */
export function wordsOf(error: unknown): string {
  if (error instanceof ProblemError) return error.message;
  if (error instanceof TypeError) return "The server cannot be reached. Check the connection and try again.";
  return error instanceof Error ? error.message : String(error);
}

export class Api {
  constructor(
    private readonly root: string,
    private readonly csrf: string,
  ) {}

  survey(id: string): Promise<Survey> {
    return this.read(`/surveys/${id}`);
  }

  toes(survey: string): Promise<SavedToe[]> {
    return this.list(`/surveys/${survey}/toes`);
  }

  proposals(survey: string): Promise<Proposal[]> {
    return this.list(`/surveys/${survey}/proposals`);
  }

  /** Have a program look for piles; it takes a moment. */
  async lookForPiles(survey: string): Promise<void> {
    await this.send(`/surveys/${survey}/proposals`, { method: "POST", headers: this.headers({}) });
  }

  async leaveOut(survey: string, proposal: number): Promise<void> {
    await this.send(`/surveys/${survey}/proposals/${proposal}`, { method: "DELETE", headers: this.headers({}) });
  }

  confirm(toe: string): Promise<SavedToe> {
    return this.write("POST", `/toes/${toe}/confirm`, {});
  }

  materials(site: string): Promise<Material[]> {
    return this.list(`/sites/${site}/materials`);
  }

  surveys(site: string): Promise<Pick<Survey, "id" | "name" | "flown_on" | "state">[]> {
    return this.list(`/sites/${site}/surveys`);
  }

  volume(survey: string, question: VolumeQuestion, signal: AbortSignal): Promise<Volume> {
    return this.write("POST", `/surveys/${survey}/volume`, question, {}, signal);
  }

  snap(survey: string, toe: Toe): Promise<{ toe: Toe; confidence: number; reasons: string[] }> {
    return this.write("POST", `/surveys/${survey}/snap`, { toe });
  }

  profile(survey: string, line: [number, number][]): Promise<Profile> {
    return this.write("POST", `/surveys/${survey}/profile`, { line });
  }

  save(survey: string, draft: ToeDraft): Promise<SavedToe> {
    return this.write("POST", `/surveys/${survey}/toes`, draft);
  }

  /** Draw a pile again; refused when somebody else has done so since it was loaded. */
  async replace(id: string, draft: ToeDraft, etag: string | null): Promise<SavedToe> {
    return this.write("PUT", `/toes/${id}`, draft, await this.ifMatch(id, etag));
  }

  async remove(id: string, etag: string | null): Promise<void> {
    await this.send(`/toes/${id}`, { method: "DELETE", headers: this.headers(await this.ifMatch(id, etag)) });
  }

  /** Elevations, or their differences to another survey. */
  async grid(survey: string, bounds: Bounds, cells: number, against: string | null): Promise<Grid> {
    const query = new URLSearchParams({
      bounds: bounds.map((value) => value.toFixed(3)).join(","),
      cells: String(cells),
      against: against ?? "none",
    });
    const answer = await this.send(`/surveys/${survey}/grid?${query}`, { method: "GET" });
    const facts = JSON.parse(answer.headers.get("X-Grid") ?? "{}") as Omit<Grid, "values">;
    return { ...facts, values: new Float32Array(await answer.arrayBuffer()) };
  }

  private async read<T>(path: string): Promise<T> {
    return (await this.send(path, { method: "GET" })).json() as Promise<T>;
  }

  /** A list, whether or not it comes in pages. */
  private async list<T>(path: string): Promise<T[]> {
    const found: T[] = [];
    let next: string | null = path;
    while (next) {
      const page: T[] | { items: T[]; next?: string | null } = await this.read(next);
      if (Array.isArray(page)) return page;
      found.push(...page.items);
      next = page.next ? page.next.replace(this.root, "") : null;
    }
    return found;
  }

  private async write<T>(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<T> {
    const answer = await this.send(path, {
      method,
      headers: this.headers(headers),
      body: JSON.stringify(body),
      signal: signal ?? null,
    });
    return answer.json() as Promise<T>;
  }

  /** The version that a change is meant for: the one that was loaded, or else the current one. */
  private async ifMatch(id: string, etag: string | null): Promise<Record<string, string>> {
    const tag = etag ?? (await this.send(`/toes/${id}`, { method: "GET" }).catch(() => null))?.headers.get("ETag");
    return tag ? { "If-Match": tag } : {};
  }

  private headers(more: Record<string, string>): Record<string, string> {
    return { "Content-Type": "application/json", "X-CSRF-Token": this.csrf, ...more };
  }

  private async send(path: string, options: RequestInit): Promise<Response> {
    const answer = await fetch(this.root + path, { credentials: "same-origin", ...options });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { title?: string; detail?: string };
    throw new ProblemError(answer.status, problem.title ?? answer.statusText, problem.detail ?? "");
  }
}

/** The API that a page names in its data attributes. */
export function apiOf(element: HTMLElement): Api {
  const token = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
  return new Api(element.dataset["api"] ?? "/api/v1", token);
}
