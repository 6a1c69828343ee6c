/** Colours for a terminal; plain text everywhere else. */

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  cyan(text: string): string;
}

type Paint = (text: string) => string;

/**
 * Escape sequences when `enabled`, else text as it is.
 *
 * @example
 * style(useColour(process.stderr, process.env)).red("Error")
 */
export function style(enabled: boolean): Style {
  const paint =
    (on: number, off: number): Paint =>
    (text) =>
      enabled ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), cyan: paint(36, 39) };
}

/** Colour only on a terminal that understands it, and never against NO_COLOR (https://no-color.org). */
export function useColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}
