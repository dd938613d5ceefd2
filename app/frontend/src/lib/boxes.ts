/** Room for words on a picture: boxes in pixels that must not cover each other. */

/** Left, top, right, bottom. */
export type Box = [number, number, number, number];

/** The box of words that stand above a place. */
export function boxAbove(x: number, y: number, [width, height]: readonly [number, number]): Box {
  return [x - width / 2, y - height, x + width / 2, y];
}

/** Takes boxes one by one, and refuses those that have no room beside the earlier ones. */
export class Room {
  private readonly taken: Box[] = [];

  take(box: Box): boolean {
    const isFree = !this.taken.some((other) => overlaps(other, box));
    if (isFree) this.taken.push(box);
    return isFree;
  }
}

function overlaps(a: Box, b: Box): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
