/** A survey's page: takes its photos, tells what they are worth, and follows its run. */

import "./survey.css";
import { followRun } from "./run";
import { PhotoMap } from "./photo_map";
import { Uploads } from "./uploads";
import { Verdicts } from "./verdict";
import { SurveyApi } from "./survey_api";

const page = document.querySelector<HTMLElement>("#survey");
if (page) {
  const api = new SurveyApi(page);
  const upload = page.querySelector<HTMLElement>("#upload");
  const run = page.querySelector<HTMLElement>("#run");
  if (upload) {
    const map = new PhotoMap(upload, api);
    const verdicts = new Verdicts(upload, api);
    const input = upload.querySelector<HTMLInputElement>("input[type=file]");
    void map.refresh().then((count) => (count ? verdicts.show() : undefined));
    if (input) {
      // A finished surface has no photos to be judged.
      const judge = (count: number) => (count ? verdicts.ask() : undefined);
      new Uploads(upload, input, api, () => void map.refresh(), () => void map.refresh().then(judge));
    }
  }
  const id = page.dataset["run"];
  if (run && id) followRun(run, api, id);
}
