/** Changing settings by `key=value`: only keys that exist, only values of the same kind. */
import { NijimiError, unknownName } from "../errors.ts";
import type { Settings, SettingValue } from "./recipe.ts";

/**
 * The settings with changes applied. Keys of nested settings are joined by dots; values are JSON, or text where the
 * setting is text.
 *
 * @throws NijimiError `option` for unknown keys and values of another kind
 * @example
 * applySettings({ updates: 100, image: { size: 64 } }, ["updates=200", "image.size=32"]);
 */
export function applySettings<S extends Settings>(settings: S, changes: readonly string[]): S {
  return changes.reduce<S>((current, change) => {
    const equals = change.indexOf("=");
    if (equals < 1)
      throw new NijimiError(
        "option",
        `--set: got ${JSON.stringify(change)}; expected key=value, e.g. --set updates=1000.`,
      );
    const path = change.slice(0, equals).split(".");
    return setAt(current, path, change.slice(equals + 1), []) as S;
  }, settings);
}

function setAt(
  value: Settings,
  [key, ...rest]: readonly string[],
  text: string,
  above: readonly string[],
): Settings {
  if (!Object.hasOwn(value, key))
    throw unknownName("setting", [...above, key].join("."), settingNames(value, above));
  const old = value[key];
  if (rest.length === 0) return { ...value, [key]: readAs(old, text, [...above, key].join(".")) };
  if (typeof old !== "object" || old === null || Array.isArray(old))
    throw new NijimiError(
      "option",
      `Setting ${[...above, key].join(".")} has no parts; got ${[...above, key, ...rest].join(".")}.`,
    );
  return { ...value, [key]: setAt(old as Settings, rest, text, [...above, key]) };
}

/** The names that a change may have, dotted. */
export function settingNames(settings: Settings, above: readonly string[] = []): string[] {
  return Object.entries(settings).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? settingNames(value as Settings, [...above, key])
      : [[...above, key].join(".")],
  );
}

/** The text as a value of the kind that is there. */
function readAs(old: SettingValue, text: string, name: string): SettingValue {
  if (typeof old === "string") return text;
  const value = parse(text);
  const fits =
    old === null ||
    (Array.isArray(old) ? Array.isArray(value) : typeof value === typeof old && value !== null);
  if (value === undefined || !fits)
    throw new NijimiError(
      "option",
      `Setting ${name}: got ${JSON.stringify(text)}; expected a ${kindOf(old)}, as in ${JSON.stringify(old)}.`,
    );
  return value;
}

function parse(text: string): SettingValue | undefined {
  try {
    return JSON.parse(text) as SettingValue;
  } catch {
    return undefined;
  }
}

function kindOf(value: SettingValue): string {
  return Array.isArray(value) ? "list" : value === null ? "JSON value" : typeof value;
}
