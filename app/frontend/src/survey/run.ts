/** Follows a run until it ends, then shows the page anew. */

import { number, timeOfDay } from "../lib/format";
import type { SurveyApi } from "./survey_api";

interface Run {
  state: string;
  fraction: number;
  stage: string;
  message: string;
  remaining_s: number | null;
  stages: { name: string; state: string; message: string }[];
}

const ENDED = ["done", "failed", "cancelled"];

export function followRun(element: HTMLElement, api: SurveyApi, id: string): void {
  const events = api.events(id);
  let last = "";
  events.addEventListener("run", (event) => {
    const run = JSON.parse((event as MessageEvent<string>).data) as Run;
    if (ENDED.includes(run.state)) {
      events.close();
      location.reload();
      return;
    }
    show(element, run);
    const line = `${run.stage} ${run.message}`.trim();
    if (line && line !== last) append(element, line);
    last = line;
  });
}

function show(element: HTMLElement, run: Run): void {
  const bar = element.querySelector("progress");
  if (bar) bar.value = run.fraction;
  text(element, ".run-message", `${number(run.fraction * 100)} % · ${run.message || "waiting for a worker"}`);
  text(element, ".run-left", run.remaining_s === null ? "" : `about ${words(run.remaining_s)} left`);
  text(element, ".badge", run.state);
  const list = element.querySelector(".stages");
  list?.replaceChildren(
    ...run.stages.map((stage) => {
      const item = document.createElement("li");
      item.dataset["stage"] = stage.name;
      item.dataset["state"] = stage.state;
      item.textContent = stage.name.replaceAll("_", " ");
      return item;
    }),
  );
}

function append(element: HTMLElement, line: string): void {
  const log = element.querySelector<HTMLElement>(".run-log");
  if (!log) return;
  log.append(`${timeOfDay(new Date())}  ${line}\n`);
  log.scrollTop = log.scrollHeight;
}

function text(element: HTMLElement, selector: string, words: string): void {
  const found = element.querySelector(selector);
  if (found) found.textContent = words;
}

/** Seconds as people say them. */
export function words(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number(seconds / 3600, 1)} h`;
}
