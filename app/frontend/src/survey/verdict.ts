/** What is to be said of the photos before anybody starts. */

import { number, small, type Units } from "../lib/format";
import type { Finding, SurveyApi, Verdict } from "./survey_api";

const POLL_MS = 700;
const LONGEST_MS = 180_000;
const KIND = { refuse: "note bad", warn: "note warn", info: "note" } as const;
const SHOWN_PHOTOS = 12;

export class Verdicts {
  private readonly place: HTMLElement;

  constructor(
    element: HTMLElement,
    private readonly api: SurveyApi,
  ) {
    this.place = element.querySelector<HTMLElement>(".verdict")!;
  }

  /** Show what was said last. */
  async show(): Promise<void> {
    const verdict = await this.api.verdict();
    if (verdict.findings) this.draw(verdict, await this.api.units());
  }

  /** Have the photos looked at, and show what comes of it. */
  async ask(): Promise<void> {
    const before = (await this.api.verdict()).judged_at;
    await this.api.askVerdict();
    this.place.replaceChildren(note("note", "The photos are being looked at …", "", []));
    const until = Date.now() + LONGEST_MS;
    while (Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      const verdict = await this.api.verdict();
      if (verdict.findings && verdict.judged_at !== before) return this.draw(verdict, await this.api.units());
    }
    this.place.replaceChildren(note(KIND.warn, "Nobody has looked at the photos yet: all workers are busy, or none runs. Reload the page later; the photos are kept.", "", []));
  }

  private draw(verdict: Verdict, units: Units): void {
    const notes = (verdict.findings ?? []).map((finding) => noteOf(finding));
    const aside = verdict.set_aside ?? [];
    if (aside.length) {
      const names = aside.map(([name, reason]) => `${name}: ${reason}`);
      notes.push(note(KIND.warn, `${aside.length} files were set aside; the flight goes on without them.`, "", names));
    }
    const levels = (verdict.findings ?? []).map(({ level }) => level);
    if (!levels.includes("refuse")) {
      const gsd = verdict.gsd_m ? `, ${small(verdict.gsd_m, units, 1)} a pixel` : "";
      const overlap = verdict.overlap ? `, ${number(verdict.overlap * 100)} % overlap` : "";
      const isGood = !levels.includes("warn");
      const words = isGood ? "The flight can be processed" : "The flight can be processed, with doubts";
      notes.unshift(note(isGood ? "note good" : KIND.warn, `${words}: ${verdict.photo_count} photos${gsd}${overlap}.`, "", []));
    }
    this.place.replaceChildren(...notes);
  }
}

function noteOf(finding: Finding): HTMLElement {
  return note(KIND[finding.level], finding.message, finding.remedy, finding.photos);
}

function note(kind: string, message: string, remedy: string, photos: string[]): HTMLElement {
  const box = document.createElement("div");
  box.className = kind;
  const text = document.createElement("p");
  text.textContent = [message, remedy].filter(Boolean).join(" ");
  box.append(text);
  if (photos.length) {
    const list = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = photos.length === 1 ? "1 photo" : `${photos.length} photos`;
    const names = document.createElement("p");
    const more = photos.length > SHOWN_PHOTOS ? ` and ${photos.length - SHOWN_PHOTOS} more` : "";
    names.textContent = photos.slice(0, SHOWN_PHOTOS).join(", ") + more;
    list.append(summary, names);
    box.append(list);
  }
  return box;
}
