/** The piles that wait for a review, and what can be done with them. */

import { type Api, type Proposal, type SavedToe, type Survey, wordsOf } from "../lib/api";
import { goneKey, type Item, reviewItems } from "../lib/review";
import { toeDraftOf } from "./draft";

/** How often, and how many times, it is asked whether the search for piles is done. */
const LOOK_MS = 1000;
const LOOKS = 120;

/** The piles of a survey with their sum, those that a program found, and those of the survey before. */
export interface Found {
  survey: Survey;
  toes: readonly SavedToe[];
  proposals: readonly Proposal[];
  before: readonly SavedToe[];
}

/** Load them; without the last two one can still work. */
export async function loadPiles(api: Api, { id, previous_id }: Survey): Promise<Found> {
  const [survey, toes, proposals, before] = await Promise.all([
    api.survey(id),
    api.toes(id),
    api.proposals(id).catch(() => []),
    previous_id ? api.toes(previous_id).catch(() => []) : [],
  ]);
  return { survey, toes, proposals, before };
}

export class Waiting {
  items: readonly Item[] = [];
  /** Piles that somebody saw not to be here, as long as the page is open. */
  private readonly seen = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly survey: Survey,
    private readonly reload: () => Promise<void>,
    private readonly say: (words: string) => void,
  ) {}

  update({ toes, proposals, before }: Found): readonly Item[] {
    this.items = reviewItems(toes, proposals, before).filter(({ key }) => !this.seen.has(key));
    return this.items;
  }

  /** Let it count from now on. */
  accept(item: Item): Promise<void> {
    return this.settle([item], this.take);
  }

  leaveOut(item: Item): Promise<void> {
    return this.settle([item], this.drop);
  }

  acceptAll(): Promise<void> {
    return this.settleAll(this.take, "count from now on, without a look at each");
  }

  leaveOutAll(): Promise<void> {
    return this.settleAll(this.drop, "are left out of this survey");
  }

  /** Have a program look for piles, and wait for what it finds. */
  async look(): Promise<void> {
    try {
      await this.api.lookForPiles(this.survey.id);
      if (!(await this.isFound())) return this.say("No worker has looked yet. Reload the page later.");
      await this.reload();
      this.say(this.items.length ? `${this.items.length} to review.` : "No pile was found that is not drawn already.");
    } catch (error) {
      this.say(wordsOf(error));
    }
  }

  private readonly take = async (item: Item): Promise<void> => {
    if (item.kind === "carried") await this.api.confirm(item.saved.id);
    else if (item.kind === "proposed") await this.api.save(this.survey.id, toeDraftOf(item));
    else this.seen.add(item.key);
  };

  private readonly drop = async (item: Item): Promise<void> => {
    if (item.kind === "carried") {
      await this.api.remove(item.saved.id, item.saved.etag ?? null);
      this.seen.add(goneKey(item.saved.pile_id));
    } else if (item.kind === "proposed") await this.api.leaveOut(this.survey.id, item.proposal.number);
  };

  private async settleAll(action: (item: Item) => Promise<void>, words: string): Promise<void> {
    const items = this.items.filter(({ kind }) => kind !== "gone");
    if (window.confirm(`${items.length} ${items.length === 1 ? "pile" : "piles"} ${words}.`)) await this.settle(items, action);
  }

  /** Do one thing with each, say what failed, and show what is left. */
  private async settle(items: readonly Item[], action: (item: Item) => Promise<void>): Promise<void> {
    const failures: string[] = [];
    for (const item of items) await action(item).catch((error: unknown) => failures.push(`${item.name}: ${wordsOf(error)}`));
    await this.reload();
    if (failures.length) this.say(failures.join(" "));
    else if (!this.items.length) this.say("Everything is reviewed.");
  }

  private async isFound(): Promise<boolean> {
    for (let count = 0; count < LOOKS; count += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const { proposals_found_at } = await this.api.survey(this.survey.id);
      if (proposals_found_at !== this.survey.proposals_found_at) {
        this.survey.proposals_found_at = proposals_found_at;
        return true;
      }
    }
    return false;
  }
}
