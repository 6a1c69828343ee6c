/**
 * JSON as Python writes it: `json.dump` emits bare `NaN`, `Infinity` and `-Infinity`, which `JSON.parse` refuses.
 */

const STRING_OR_SPECIAL = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;
const MARK = "\u0000number:";

/** Parses JSON text; bare `NaN` and infinities become numbers. */
export function parseLenientJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const marked = text.replace(STRING_OR_SPECIAL, (token) =>
      token.startsWith('"') ? token : JSON.stringify(MARK + token),
    );
    return JSON.parse(marked, (_, value) =>
      typeof value === "string" && value.startsWith(MARK)
        ? Number(value.slice(MARK.length))
        : value,
    );
  }
}
