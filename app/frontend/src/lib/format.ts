/** Numbers and dates in the reader's own way of writing. */

const CUBIC_YARD_M3 = 0.764554857984;
const SHORT_TON_T = 0.90718474;

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

export interface Units {
  volume_unit: string;
  mass_unit: string;
}

/** `4.37 ± 0.02 m`: a value with its uncertainty, both with the decimals that make sense. */
export function amount(value: number, u95: number, unit: string): string {
  const decimals = decimalsFor(u95);
  return `${number(value, decimals)} ± ${number(u95, decimals)} ${unit}`;
}

/** `807.5 ± 0.9 m³` in the units of the site. */
export function volume(net_m3: number, u95_m3: number, units: Units): string {
  const { factor, name } = volumeUnit(units);
  return amount(net_m3 / factor, u95_m3 / factor, name);
}

/** `51 m³` in the units of the site: half the width of an interval by itself. */
export function volumeHalf(u95_m3: number, units: Units): string {
  const { factor, name } = volumeUnit(units);
  const u95 = u95_m3 / factor;
  return `${number(u95, decimalsFor(u95))} ${name}`;
}

/** Cubic metres in a unit, and its sign. */
export function volumeUnit(units: Units): { factor: number; name: string } {
  return units.volume_unit === "yd3" ? { factor: CUBIC_YARD_M3, name: "yd³" } : { factor: 1, name: "m³" };
}

/** Tonnes in a unit, and its sign. */
export function massUnit(units: Units): { factor: number; name: string } {
  return units.mass_unit === "short_ton" ? { factor: SHORT_TON_T, name: "short tons" } : { factor: 1, name: "t" };
}

/** A length in metres. */
export function metres(value: number, decimals = 2): string {
  return `${number(value, decimals)} m`;
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
