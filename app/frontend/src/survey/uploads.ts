/** Uploads of many files: a few at once, each continued after any interruption. */

import * as tus from "tus-js-client";
import { number } from "../lib/format";
import type { SurveyApi } from "./survey_api";

/** Browsers open six connections to a host; the page needs some, too. */
const AT_ONCE = 3;
/** The largest body that the server takes from a browser. */
const PART_BYTES = 16 * 1024 * 1024;
const RETRIES_MS = [0, 1000, 3000, 5000, 10000, 30000, 60000];

export class Uploads {
  private readonly waiting: File[] = [];
  private readonly sent = new Map<File, number>();
  private running = 0;
  private done = 0;
  private failed = 0;
  private readonly repeated: string[] = [];
  private readonly state: HTMLElement;
  private readonly bar: HTMLProgressElement;
  private readonly text: HTMLElement;
  private readonly errors: HTMLElement;
  private readonly repeats: HTMLDetailsElement;
  private readonly start = document.querySelector<HTMLButtonElement>("#start");

  constructor(
    element: HTMLElement,
    input: HTMLInputElement,
    private readonly api: SurveyApi,
    private readonly arrived: () => void,
    private readonly finished: () => void,
  ) {
    this.state = element.querySelector<HTMLElement>(".upload-state")!;
    this.bar = this.state.querySelector("progress")!;
    this.text = this.state.querySelector("p")!;
    this.errors = this.state.querySelector("ul")!;
    this.repeats = this.state.querySelector("details")!;
    const drop = element.querySelector<HTMLElement>(".drop")!;
    const take = (): void => {
      this.add(Array.from(input.files ?? []));
      input.value = "";
    };
    input.addEventListener("change", take);
    for (const kind of ["dragenter", "dragover"]) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.add(Array.from(event.dataTransfer?.files ?? []));
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.running) event.preventDefault();
    });
    // Chosen while the page was still loading.
    if (input.files?.length) take();
  }

  private add(files: File[]): void {
    for (const file of files) {
      this.sent.set(file, 0);
      this.waiting.push(file);
    }
    this.state.hidden = false;
    this.next();
  }

  private next(): void {
    while (this.running < AT_ONCE && this.waiting.length) void this.send(this.waiting.shift()!);
    this.show();
    if (!this.running && !this.waiting.length && this.done) this.finished();
  }

  private async send(file: File): Promise<void> {
    this.running += 1;
    await new Promise<void>((resolve) => {
      const upload = new tus.Upload(file, {
        endpoint: this.api.uploads,
        headers: this.api.headers,
        chunkSize: PART_BYTES,
        retryDelays: RETRIES_MS,
        removeFingerprintOnSuccess: true,
        metadata: { filename: file.name, filetype: file.type },
        fingerprint: (item) =>
          Promise.resolve(`cairn-${this.api.survey}-${(item as File).name}-${file.size}-${file.lastModified}`),
        onProgress: (bytes) => {
          this.sent.set(file, bytes);
          this.show();
        },
        // A refusal will not become an acceptance by being asked again.
        onShouldRetry: (error) => {
          const status = error.originalResponse?.getStatus() ?? 0;
          return status === 0 || status === 409 || status === 423 || status >= 500;
        },
        onSuccess: ({ lastResponse }) => {
          const same = lastResponse.getHeader("Upload-Repeats");
          if (same) this.repeat(file.name, same);
          this.sent.set(file, file.size);
          this.done += 1;
          this.arrived();
          resolve();
        },
        onError: (error) => {
          this.failed += 1;
          this.sent.set(file, file.size);
          const item = document.createElement("li");
          const reason = reasonOf(error);
          item.textContent = reason.startsWith(file.name) ? reason : `${file.name}: ${reason}`;
          this.errors.append(item);
          resolve();
        },
      });
      void upload.findPreviousUploads().then((previous) => {
        if (previous[0]) upload.resumeFromPreviousUpload(previous[0]);
        upload.start();
      });
    });
    this.running -= 1;
    this.next();
  }

  private show(): void {
    const total = [...this.sent.keys()].reduce((sum, file) => sum + file.size, 0);
    const sent = [...this.sent.values()].reduce((sum, bytes) => sum + bytes, 0);
    // Half a flight is not to be processed.
    if (this.start) this.start.disabled = this.running > 0;
    this.bar.value = total ? sent / total : 0;
    const failed = this.failed ? `, ${this.failed} not taken` : "";
    const known = this.repeated.length ? `, ${this.repeated.length} of them here already` : "";
    const megabytes = (bytes: number): string => number(bytes / 1e6);
    this.text.textContent = `${this.done} of ${this.sent.size} files${known}${failed} · ${megabytes(sent)} of ${megabytes(total)} MB`;
  }

  /** The same photo twice is one photo; nobody should wonder where the other one is. */
  private repeat(name: string, same: string): void {
    this.repeated.push(same === name ? name : `${name} (as ${same})`);
    const count = this.repeated.length;
    this.repeats.hidden = false;
    this.repeats.querySelector("summary")!.textContent =
      count === 1 ? "1 file was here already and is kept once" : `${count} files were here already and are kept once`;
    this.repeats.querySelector("p")!.textContent = this.repeated.join(", ");
  }
}

/** The words of the server's problem document, where it sent one. */
function reasonOf(error: Error | tus.DetailedError): string {
  const body = "originalResponse" in error ? error.originalResponse?.getBody() : undefined;
  try {
    const problem = JSON.parse(body ?? "") as { detail?: string };
    return problem.detail ?? error.message;
  } catch {
    return "the server could not be reached; choose the file again to go on";
  }
}
