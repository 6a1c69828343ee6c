/** Quantities as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** `512 B`, `1.5 kB`, `34 MB`: decimal units, two digits where they help. */
export function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}

/** `950`, `1.3 M`, `859.5 M`, `2.57 G`: counts of parameters. */
export function formatCount(count: number): string {
  if (count < 10_000) return String(count);
  const [power, suffix] = count >= 1e9 ? [1e9, "G"] : count >= 1e6 ? [1e6, "M"] : [1e3, "k"];
  const value = count / power;
  return `${value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0)} ${suffix}`;
}
