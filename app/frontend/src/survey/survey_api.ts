/** What the page of a survey asks the server. */

import type { Units } from "../lib/format";

export interface SurveyFile {
  name: string;
  kind: string;
  position: [longitude: number, latitude: number] | null;
  facts: { captured_at?: string | null };
}

export interface Finding {
  level: "refuse" | "warn" | "info";
  message: string;
  remedy: string;
  photos: string[];
}

export interface Verdict {
  judged_at?: string;
  findings?: Finding[];
  photo_count?: number;
  gsd_m?: number | null;
  overlap?: number | null;
  set_aside?: [name: string, reason: string][];
}

export class SurveyApi {
  readonly survey: string;
  readonly root: string;
  private readonly csrf: string;

  constructor(page: HTMLElement) {
    this.survey = page.dataset["survey"] ?? "";
    this.root = page.dataset["api"] ?? "/api/v1";
    this.csrf = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
  }

  get uploads(): string {
    return `${this.root}/surveys/${this.survey}/uploads`;
  }

  get headers(): Record<string, string> {
    return { "X-CSRF-Token": this.csrf };
  }

  async files(): Promise<SurveyFile[]> {
    const found: SurveyFile[] = [];
    let next: string | null = `/surveys/${this.survey}/photos?limit=1000`;
    while (next) {
      const page: { items: SurveyFile[]; next: string | null } = await this.read(next);
      found.push(...page.items);
      next = page.next && page.next.replace(this.root, "");
    }
    return found;
  }

  async verdict(): Promise<Verdict> {
    return (await this.read<{ verdict: Verdict }>(`/surveys/${this.survey}/verdict`)).verdict;
  }

  async units(): Promise<Units> {
    return (await this.read<{ units: Units }>(`/surveys/${this.survey}`)).units;
  }

  async askVerdict(): Promise<void> {
    await fetch(`${this.root}/surveys/${this.survey}/verdict`, { method: "POST", headers: this.headers });
  }

  events(run: string): EventSource {
    return new EventSource(`${this.root}/runs/${run}/events`);
  }

  private async read<T>(path: string): Promise<T> {
    const answer = await fetch(this.root + path);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return (await answer.json()) as T;
  }
}
