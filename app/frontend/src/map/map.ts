/** The map of a survey with its piles, and the survey before beside it. */

import { Map as Plan, type StyleSpecification, ScaleControl, setWorkerUrl } from "maplibre-gl";
import workerAddress from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { type Api, type SavedToe, type Survey, wordsOf } from "../lib/api";
import { Divider } from "../lib/divider";
import { h, iconLink } from "../lib/dom";
import { day } from "../lib/format";
import { PileList } from "../viewer/pile_list";
import { otherDate } from "../viewer/other_date";
import { menu, radios, toolbar } from "../viewer/toolbar";
import { loadPiles, Waiting } from "../viewer/waiting";
import { PileLabels } from "./pile_labels";
import { boundsOf, lonLat } from "./place";
import { baseStyle, type Picture, toeFeatures, withSurvey, withToes } from "./styles";

setWorkerUrl(workerAddress);

/** Show a survey in an element of the page. */
export async function open(root: HTMLElement, api: Api, id: string): Promise<void> {
  const stage = h("div", { class: "stage" });
  const panel = h("aside", { class: "panel", "aria-label": "Piles" });
  const survey = await api.survey(id);
  const background = getComputedStyle(root).getPropertyValue("--color-sunken").trim() || "#eceae5";
  const base = await baseStyle(root.dataset["style"], background);
  stage.append(h("h1", { class: "visually-hidden" }, `Map of ${survey.name}`));
  root.replaceChildren(stage, panel);
  const modelHref = root.dataset["modelHref"] ?? "";
  const go = (query: string): void => location.assign(`${modelHref}?${query}`);

  let toes: readonly SavedToe[] = [];
  let picture: Picture = survey.orthomosaic_url ? "orthomosaic" : "height";
  const waiting = new Waiting(api, survey, () => load(), say);
  const style = (): StyleSpecification =>
    withToes(withSurvey(base, survey, picture), toeFeatures(survey, toes, waiting.items));
  const plan = makePlan(stage, survey, style(), "Map of the survey");
  plan.addControl(new ScaleControl({ unit: survey.units.length === "ft" ? "imperial" : "metric", maxWidth: 140 }), "bottom-left");
  let comparison: Comparison | null = null;
  const message = h("div", { class: "toast", role: "status", "aria-live": "polite", hidden: true });
  stage.append(message);
  const labels = new PileLabels(plan, survey, ({ id }) => focus(id));

  const list = new PileList(survey, waiting, {
    draw: () => go("draw"),
    open: (toe) => go(`pile=${toe.id}`),
    focus: (key) => focus(key),
    review: (key) => go(`review=${key ?? ""}`),
  });
  panel.append(list.element);

  function say(words: string): void {
    message.textContent = words;
    message.hidden = !words;
  }

  function focus(key: string): void {
    const toe = [...waiting.items, ...toes.map((saved) => ({ key: saved.id, toe: saved.toe }))].find((other) => other.key === key)?.toe;
    if (toe) plan.fitBounds(boundsOf(survey, toe), { padding: 120, maxZoom: 22 });
    list.mark(key);
  }

  async function load(): Promise<void> {
    try {
      const found = await loadPiles(api, survey);
      const items = waiting.update(found);
      toes = found.toes.filter(({ is_confirmed }) => is_confirmed);
      list.show(found.survey, toes, items);
      plan.setStyle(style(), { diff: true });
      labels.show(toes);
    } catch (error) {
      list.showFailure(wordsOf(error), () => void load());
    }
  }

  async function compare(earlierId: string | null): Promise<void> {
    comparison?.dispose();
    comparison = null;
    say("");
    if (!earlierId) return;
    try {
      const earlier = await api.survey(earlierId);
      comparison = new Comparison(stage, plan, earlier, withSurvey(base, earlier, picture), day(survey.flown_on));
    } catch (error) {
      say(`That survey cannot be shown. ${wordsOf(error)}`);
    }
  }

  const pictures = radios("Picture", "picture", [
    { value: "orthomosaic", label: "Orthomosaic", isDisabled: !survey.orthomosaic_url },
    { value: "hillshade", label: "Shaded surface" },
    { value: "height", label: "Coloured by height" },
  ], picture, (value) => {
    picture = value as Picture;
    plan.setStyle(style(), { diff: true });
    comparison?.show((earlier) => withSurvey(base, earlier, picture));
  });
  const dates = survey.previous_id ? [otherDate(api, survey, (earlier) => void compare(earlier))] : [];
  stage.before(toolbar([
    [
      { icon: "home", label: "Whole survey", run: () => plan.fitBounds(surveyBounds(survey), { padding: 40 }) },
      { icon: "plus", label: "Closer", run: () => plan.zoomIn() },
      { icon: "minus", label: "Further", run: () => plan.zoomOut() },
    ],
    [...(modelHref ? [iconLink("cube", "3D model", modelHref)] : []), menu("layers", "Pictures", [pictures, ...dates])],
  ]));
  await load();
  root.dataset["state"] = "ready";
}

/** A second map under the same view, cut off at a divider. */
class Comparison {
  private readonly element = h("div", { class: "plan before" });
  private readonly plan: Plan;
  private readonly divider: Divider;

  constructor(
    stage: HTMLElement,
    private readonly main: Plan,
    private readonly earlier: Survey,
    style: StyleSpecification,
    today: string,
  ) {
    // Over the picture of the main map and under its labels.
    main.getCanvas().after(this.element);
    this.plan = new Plan({ container: this.element, style, interactive: false, attributionControl: false });
    this.divider = new Divider(stage, [day(earlier.flown_on), today], () => this.cut());
    main.on("move", this.follow);
    this.follow();
    this.cut();
  }

  show(style: (earlier: Survey) => StyleSpecification): void {
    this.plan.setStyle(style(this.earlier), { diff: true });
  }

  dispose(): void {
    this.main.off("move", this.follow);
    this.divider.dispose();
    this.plan.remove();
    this.element.remove();
  }

  private readonly follow = (): void => {
    const [center, zoom, bearing, pitch] = [this.main.getCenter(), this.main.getZoom(), this.main.getBearing(), this.main.getPitch()];
    this.plan.jumpTo({ center, zoom, bearing, pitch });
  };

  private cut(): void {
    const share = this.divider?.share ?? 0.5;
    this.element.style.clipPath = `inset(0 ${(100 - 100 * share).toFixed(2)}% 0 0)`;
  }
}

function makePlan(stage: HTMLElement, survey: Survey, style: StyleSpecification, label: string): Plan {
  const container = h("div", { class: "plan" });
  stage.append(container);
  const plan = new Plan({
    container, style, bounds: surveyBounds(survey), fitBoundsOptions: { padding: 40 }, maxZoom: 24,
    // Base maps want their makers named; our own pictures need none.
    attributionControl: Object.values(style.sources).some((source) => "attribution" in source) ? { compact: true } : false,
  });
  plan.getCanvas().setAttribute("aria-label", label);
  return plan;
}

function surveyBounds(survey: Survey): [[number, number], [number, number]] {
  const [west, south, east, north] = survey.bounds;
  return [lonLat(survey, west, south), lonLat(survey, east, north)];
}
