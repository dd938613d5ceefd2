/** Keys of the view, while no tool wants them. */

import type { Scene } from "./scene";

const PAN = 0.06;
const TURN_RAD = 0.12;

export type Action = "home" | "top" | "in" | "out" | "draw" | "distance" | "area" | "section" | "review" | "help";

export function listenToKeys(scene: Scene, actions: Record<Action, () => void>): void {
  const keys: Record<string, () => void> = {
    h: actions.home,
    t: actions.top,
    "+": actions.in,
    "=": actions.in,
    "-": actions.out,
    d: actions.draw,
    m: actions.distance,
    a: actions.area,
    s: actions.section,
    r: actions.review,
    "?": actions.help,
  };
  const arrows: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };
  scene.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = arrows[event.key];
    const action = keys[event.key];
    if (arrow && event.shiftKey) scene.orbit(arrow[0] * TURN_RAD, -arrow[1] * TURN_RAD);
    else if (arrow) scene.pan(arrow[0] * PAN, arrow[1] * PAN);
    else if (action) action();
    else return;
    event.preventDefault();
  });
}
