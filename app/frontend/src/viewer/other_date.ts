/** The choice of an earlier survey of the site, to be seen beside this one. */

import type { Api, Survey } from "../lib/api";
import { h } from "../lib/dom";
import { day } from "../lib/format";

/** A list of dates, the newest first; `null` is none of them. */
export function otherDate(api: Api, survey: Survey, onChoose: (id: string | null) => void): HTMLElement {
  const dates = h("select", { onchange: () => onChoose(dates.value || null) }, h("option", { value: "" }, "nothing"));
  api.surveys(survey.site_id).then((surveys) => {
    const earlier = surveys.filter(({ id, flown_on, state }) => id !== survey.id && state === "ready" && flown_on <= survey.flown_on);
    for (const one of earlier) groupOf(dates, one.flown_on.slice(0, 4)).append(h("option", { value: one.id }, `${day(one.flown_on)}, ${one.name}`));
  }, () => dates.append(h("option", { disabled: true }, "The surveys cannot be loaded. Reload the page.")));
  return h("fieldset", {}, h("legend", {}, "Side by side with"), h("label", {}, h("span", { class: "visually-hidden" }, "Date"), dates));
}

/** The group of a year, made where it is the first of it. */
function groupOf(dates: HTMLSelectElement, year: string): HTMLElement {
  const last = dates.querySelector<HTMLOptGroupElement>("optgroup:last-of-type");
  if (last?.label === year) return last;
  const group = h("optgroup", { label: year });
  dates.append(group);
  return group;
}
