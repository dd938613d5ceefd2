/** Names and volumes of the piles on the map; where there is no room for all, the larger piles win. */

import { type Map as Plan, Marker } from "maplibre-gl";
import type { SavedToe, Survey } from "../lib/api";
import { boxAbove, Room } from "../lib/boxes";
import { h } from "../lib/dom";
import { volume } from "../lib/format";
import { boundsOf } from "./place";

export class PileLabels {
  private markers: Marker[] = [];

  constructor(
    private readonly plan: Plan,
    private readonly survey: Survey,
    private readonly onOpen: (toe: SavedToe) => void,
  ) {
    plan.on("move", this.arrange);
    plan.on("resize", this.arrange);
  }

  show(toes: readonly SavedToe[]): void {
    this.markers.forEach((marker) => marker.remove());
    const largest = [...toes].sort((a, b) => (b.volume?.net_m3 ?? 0) - (a.volume?.net_m3 ?? 0));
    this.markers = largest.map((toe) => this.marker(toe).addTo(this.plan));
    this.arrange();
  }

  private marker(toe: SavedToe): Marker {
    const amount = toe.volume ? volume(toe.volume.net_m3, toe.volume.net_u95_m3, this.survey.units) : "not measured";
    const element = h("button", { type: "button", class: "pile-label", onclick: () => this.onOpen(toe) }, h("strong", {}, toe.name), h("span", {}, amount));
    const [[west, south], [east, north]] = boundsOf(this.survey, toe.toe);
    return new Marker({ element, anchor: "bottom" }).setLngLat([(west + east) / 2, (south + north) / 2]);
  }

  private readonly arrange = (): void => {
    const room = new Room();
    for (const marker of this.markers) {
      const element = marker.getElement();
      const { x, y } = this.plan.project(marker.getLngLat());
      element.style.visibility = room.take(boxAbove(x, y, [element.offsetWidth, element.offsetHeight])) ? "" : "hidden";
    }
  };
}
