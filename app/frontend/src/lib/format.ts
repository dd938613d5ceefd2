/** Numbers and dates in the reader's own way of writing. */

/** How the reader writes numbers: what the page says, else the browser. */
const locale = (): string | undefined => globalThis.document?.documentElement.dataset.locale || undefined;

/** A number with so many decimals. */
export function number(value: number, decimals = 0): string {
  // No "−0".
  const shown = Math.abs(value) < 0.5 * 10 ** -decimals ? 0 : value;
  const text = shown.toLocaleString(locale(), { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  // A hyphen is no minus.
  return text.replace("-", "−");
}

/** Decimals that an uncertainty makes sense of: two of its digits, at most two decimals. */
export function decimalsFor(u95: number): number {
  if (!(u95 > 0)) return 1;
  // Rounded first: 0.996 is shown as 1.0.
  const shown = Number(u95.toPrecision(2));
  return Math.min(2, Math.max(0, 1 - Math.floor(Math.log10(shown))));
}

/** How the site reads numbers: symbols, and how many of them make a unit of SI. The server states them. */
export interface Units {
  volume: string;
  mass: string;
  length: string;
  area: string;
  /** For the length of a pixel. */
  small: string;
  /** For areas that are larger than a pile. */
  land: string;
  per_m3: number;
  per_t: number;
  per_m: number;
  per_m2: number;
  small_per_m: number;
  land_per_m2: number;
}

/** `4.37 ± 0.02 m`: a value with its uncertainty, both with the decimals that make sense. */
export function amount(value: number, u95: number, unit: string): string {
  const decimals = decimalsFor(u95);
  return `${number(value, decimals)} ± ${number(u95, decimals)} ${unit}`;
}

/** `807.5 ± 0.9 m³` in the units of the site. */
export function volume(net_m3: number, u95_m3: number, { volume: symbol, per_m3 }: Units): string {
  return amount(net_m3 * per_m3, u95_m3 * per_m3, symbol);
}

/** `4.37 ± 0.02 m` or `14.34 ± 0.07 ft`. */
export function height(height_m: number, u95_m: number, { length: symbol, per_m }: Units): string {
  return amount(height_m * per_m, u95_m * per_m, symbol);
}

/** `310.2 ± 1.1 m²` or `3,339 ± 12 ft²`. */
export function area(area_m2: number, u95_m2: number, { area: symbol, per_m2 }: Units): string {
  return amount(area_m2 * per_m2, u95_m2 * per_m2, symbol);
}

/** `1,292 t` with its uncertainty, or in short tons. */
export function mass(mass_t: number, u95_t: number, { mass: symbol, per_t }: Units): string {
  return amount(mass_t * per_t, u95_t * per_t, symbol);
}

/** `51 m³` in the units of the site: half the width of an interval by itself. */
export function volumeHalf(u95_m3: number, { volume: symbol, per_m3 }: Units): string {
  const u95 = u95_m3 * per_m3;
  return `${number(u95, decimalsFor(u95))} ${symbol}`;
}

/** A distance or an elevation. */
export function length(value_m: number, { length: symbol, per_m }: Units, decimals = 2): string {
  return `${number(value_m * per_m, decimals)} ${symbol}`;
}

/** The length of a pixel. */
export function small(value_m: number, { small: symbol, small_per_m }: Units, decimals = 0): string {
  return `${number(value_m * small_per_m, decimals)} ${symbol}`;
}

/** A day such as 2026-05-04. */
export function day(iso: string): string {
  const date = new Date(iso.length === 10 ? `${iso}T12:00:00` : iso);
  return date.toLocaleDateString(locale(), { dateStyle: "medium" });
}

/** The time of a moment, such as 14:05:09. */
export function timeOfDay(moment: Date): string {
  return moment.toLocaleTimeString(locale());
}
