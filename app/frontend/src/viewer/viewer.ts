/** Everything of the page put together: what each part does is in its own file. */

import { Vector3 } from "three";
import { type Api, type SavedToe, wordsOf } from "../lib/api";
import { h, iconLink } from "../lib/dom";
import { MapFrame, ModelFrame } from "../lib/frame";
import { Projection } from "../lib/projection";
import { draftOf, draftOfSaved } from "./draft";
import { Editor } from "./editor";
import { Grounds } from "./grounds";
import { helpDialog } from "./help";
import { Hud } from "./hud";
import { Labels } from "./labels";
import { listenToKeys } from "./keys";
import { Looks } from "./looks";
import { Measure } from "./measure";
import { Decoder } from "./draco";
import { PileLayer } from "./piles";
import { PileList } from "./pile_list";
import { Review } from "./review";
import { Scene } from "./scene";
import { HEIGHT_RAMP, Shading } from "./shading";
import { toolbar } from "./toolbar";
import { loadPiles, Waiting } from "./waiting";

const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

/** Show a survey in an element of the page. */
export async function open(root: HTMLElement, api: Api, id: string): Promise<void> {
  const stage = h("div", { class: "stage" });
  const panel = h("aside", { class: "panel", "aria-label": "Piles" });
  const decoder = new Decoder();
  const survey = await api.survey(id);
  const loadingPiles = loadPiles(api, survey);
  // Its failure is told where it is waited for, which is later.
  loadingPiles.catch(() => undefined);
  const [earth, materials] = await Promise.all([
    rootTransform(survey.model_url),
    api.materials(survey.site_id).catch(() => []),
  ]);
  const frame = earth ? new ModelFrame(earth, new Projection(survey), survey.origin_elevation_m) : new MapFrame(survey.bounds, survey.origin_elevation_m ?? 0);

  const canvas = h("canvas", { tabindex: 0, role: "application", "aria-label": `Model of ${survey.name}. Press question mark for keys.` });
  stage.append(h("h1", { class: "visually-hidden" }, `Model of ${survey.name}`), canvas, h("div", { class: "focus-frame" }));
  root.replaceChildren(stage, panel);
  const scene = new Scene(canvas);
  const shading = new Shading();
  const grounds = await Grounds.open({ scene, shading, decoder, api, survey, frame, earth: earth ?? IDENTITY });
  const labels = new Labels(scene);
  const hud = new Hud(scene, grounds, frame, survey.units);
  stage.append(labels.element, hud.element);
  scene.frameAll(grounds.extent());

  const layer = new PileLayer(scene, grounds, frame, labels, survey, { open: (toe) => openToe(toe), review: ({ key }) => startReview(key) });
  const editor = new Editor(scene, grounds, frame, api, survey, shading, {
    open: (draft) => {
      measure.leave();
      layer.hide(draft.key);
      list.element.hidden = review.element.hidden = true;
      canvas.focus({ preventScroll: true });
    },
    close: () => {
      showPanel();
      editor.form.element.hidden = true;
      layer.hide(null);
      looks.restore();
      // The button that was pressed is gone; keys go on working.
      if (!review.isOpen) canvas.focus({ preventScroll: true });
      void load();
    },
    say: (words) => hud.say(words),
    height: (height_m) => hud.explain("Height above the base", height_m === null ? null : HEIGHT_RAMP, [0, height_m ?? 1]),
  }, materials);
  const measure = new Measure({ scene, surface: grounds, frame, labels, api, survey, stage, say: (words) => hud.say(words) });
  const looks = new Looks({ stage, scene, shading, decoder, api, survey, frame, grounds, hud });
  const waiting = new Waiting(api, survey, () => load(), (words) => hud.say(words));
  const list = new PileList(survey, waiting, {
    draw: () => draw(),
    open: (toe) => openToe(toe),
    focus,
    review: startReview,
  });
  const review = new Review(api, survey, {
    show: ({ key }) => focus(key),
    accept: (item) => waiting.accept(item),
    edit: (item) => editor.edit(item.toe, draftOf(item)),
    leaveOut: (item) => waiting.leaveOut(item),
    close: () => showPanel(),
  });
  panel.append(list.element, review.element, editor.form.element);
  const help = helpDialog();
  let toes: readonly SavedToe[] = [];

  function draw(): void {
    if (survey.can_edit && !editor.isOpen) editor.create();
  }

  function focus(key: string): void {
    layer.focus(key);
    list.mark(key);
  }

  function openToe(toe: SavedToe): void {
    focus(toe.id);
    if (survey.can_edit && !editor.isOpen) editor.edit(toe.toe, draftOfSaved(toe));
  }

  /** The list, or the review where one is going on. */
  function showPanel(): void {
    review.element.hidden = !review.isOpen;
    list.element.hidden = review.isOpen;
  }

  function startReview(key: string | null): void {
    if (!survey.can_edit || editor.isOpen) return;
    measure.leave();
    if (waiting.items.length) review.open(waiting.items, key);
    else hud.say("Nothing waits for a review.");
    showPanel();
  }

  async function load(loading = loadPiles(api, survey)): Promise<void> {
    try {
      const found = await loading;
      toes = found.toes;
      const items = waiting.update(found);
      list.show(found.survey, toes, items);
      layer.show(toes, items);
      review.update(items);
    } catch (error) {
      list.showFailure(wordsOf(error), () => void load());
    }
  }

  /** What another page asks for: `?pile=ID`, `?review`, `?review=KEY` or `?draw`. */
  function begin(query: URLSearchParams): void {
    const toe = toes.find(({ id, pile_id }) => [id, pile_id].includes(query.get("pile") ?? ""));
    if (toe) openToe(toe);
    else if (query.has("review")) startReview(query.get("review"));
    else if (query.has("draw")) draw();
  }

  const run = (action: () => void) => (): void => {
    if (!editor.isOpen) action();
    else hud.say("Save or discard the pile first.");
  };
  const actions = {
    home: () => scene.home(),
    top: () => scene.top(),
    in: () => scene.zoom(0.75),
    out: () => scene.zoom(1 / 0.75),
    draw,
    distance: run(() => measure.start("distance")),
    area: run(() => measure.start("area")),
    section: run(() => measure.start("section")),
    review: run(() => startReview(null)),
    help: () => help.showModal(),
  };
  stage.append(help);
  stage.before(toolbar([
    [
      { icon: "home", label: "Whole survey (H)", run: actions.home },
      { icon: "top", label: "From above (T)", run: actions.top },
      { icon: "plus", label: "Closer (+)", run: actions.in },
      { icon: "minus", label: "Further (−)", run: actions.out },
    ],
    [
      ...(survey.can_edit ? [{ icon: "draw", label: "Draw a pile (D)", run: draw }] : []),
      { icon: "distance", label: "Measure distance and height (M)", run: actions.distance },
      { icon: "area", label: "Measure an area (A)", run: actions.area },
      { icon: "section", label: "Cross-section (S)", run: actions.section },
    ],
    [...(root.dataset["mapHref"] ? [iconLink("map", "Map", root.dataset["mapHref"])] : []), looks.menu, { icon: "help", label: "Keys and gestures (?)", run: actions.help }],
  ]));
  listenToKeys(scene, actions);

  let timer = 0;
  grounds.onChange(() => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      layer.redraw();
      if (editor.isOpen) editor.tool.redraw();
    }, 200);
  });
  new MutationObserver(() => scene.paintBackground()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  window.addEventListener("beforeunload", (event) => {
    if (editor.isChanged) event.preventDefault();
  });
  window.addEventListener("pagehide", () => {
    editor.dispose();
    scene.dispose();
    decoder.dispose();
  });
  root.dataset["modelMs"] = performance.now().toFixed(0);
  await load(loadingPiles);
  begin(new URLSearchParams(location.search));
  root.dataset["state"] = "ready";
  // For the browser tests: where a map position is on the screen.
  Object.assign(root, { project: (map: [number, number, number]) => scene.toScreen(new Vector3(...frame.toLocal(map)))?.toArray() ?? null });
}

/** Root transform of a tileset, column by column; null for a survey without a model. */
async function rootTransform(url: string | null): Promise<number[] | null> {
  if (!url) return null;
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`The model answers ${answer.status}. Reload the page; if that does not help, run the survey again.`);
  const { root } = (await answer.json()) as { root: { transform?: number[] } };
  return root.transform ?? IDENTITY;
}
