/** Configs as they lie beside published weights (snake_case JSON), read into the typed objects of our models. */
import { nearestNames, NijimiError } from "../errors.ts";
import { snakeCase } from "../nn/layer.ts";

/** A config.json. */
export type ConfigJson = Readonly<Record<string, unknown>>;

/**
 * The config with every field of `defaults`, renamed to camelCase.
 *
 * Keys that begin with an underscore (diffusers' bookkeeping) are dropped; null where the default is undefined too.
 *
 * @param ignored snake_case keys that change nothing here; `"others"`: all that are not in `defaults`, for transformers'
 * configs, which carry the settings of everything that any model of the library can do
 * @throws NijimiError `option` for a key that is neither in `defaults` nor ignored, or a value of another type than the
 * default's; one value per level may stand for a number or a switch, and null for all but lists
 * @example
 * const config = readConfig("UNet2DModel", json, UNET_2D_DEFAULTS, ["sample_size"]);
 */
export function readConfig<Config extends object>(
  what: string,
  json: ConfigJson,
  defaults: Config,
  ignored: readonly string[] | "others" = [],
): Config {
  const known = new Map(Object.keys(defaults).map((key) => [snakeCase(key), key]));
  const config: Record<string, unknown> = { ...(defaults as Record<string, unknown>) };
  for (const [key, value] of Object.entries(json)) {
    const name = known.get(key);
    if (
      key.startsWith("_") ||
      ignored.includes(key) ||
      (name === undefined && ignored === "others")
    )
      continue;
    if (name === undefined) {
      const near = nearestNames(key, [...known.keys()]);
      throw new NijimiError(
        "option",
        `${what}: unknown config key "${key}"${near.length > 0 ? `; nearest: ${near.join(", ")}` : ""}. This network may be newer than nijimi.`,
      );
    }
    if (!isLike(value, config[name]))
      throw new NijimiError(
        "option",
        `${what}: ${key} = ${JSON.stringify(value)}; expected a value like ${JSON.stringify(config[name])}.`,
      );
    config[name] = value;
  }
  return config as Config;
}

/** True when a value can stand where the default does; a default of null says nothing about the type. */
function isLike(value: unknown, usual: unknown): boolean {
  if (usual === null || usual === undefined) return true;
  if (value === null) return !Array.isArray(usual);
  if (Array.isArray(value)) return Array.isArray(usual) || /number|boolean/.test(typeof usual);
  return typeof value === typeof usual && !Array.isArray(usual);
}

/** One value per level from a number or a list; refuses lists of lists (another number of blocks in one level). */
export function perLevel<T>(value: T | readonly T[], levels: number, what: string): readonly T[] {
  if (!Array.isArray(value)) return Array.from({ length: levels }, () => value as T);
  if (value.length !== levels)
    throw new NijimiError(
      "option",
      `${what}: got ${value.length} values; expected ${levels}, one per block.`,
    );
  if (value.some(Array.isArray))
    throw new NijimiError(
      "unsupported",
      `${what}: lists within the list (SSD-1B and its like) are not supported.`,
    );
  return value as readonly T[];
}

/** Refuses counts that are not whole and positive. */
export function requirePositive(
  what: string,
  counts: Readonly<Record<string, number | readonly number[]>>,
): void {
  for (const [key, count] of Object.entries(counts))
    for (const value of [count].flat())
      if (!Number.isInteger(value) || value < 1)
        throw new NijimiError(
          "option",
          `${what}: ${key} = ${JSON.stringify(count)}; expected whole numbers ≥ 1.`,
        );
}

/** Refuses the options of a config that are not at the only value handled here. */
export function requireValues(
  what: string,
  config: object,
  values: Readonly<Record<string, readonly unknown[]>>,
): void {
  for (const [key, accepted] of Object.entries(values)) {
    const got = (config as Record<string, unknown>)[key];
    if (!accepted.includes(got))
      throw new NijimiError(
        "unsupported",
        `${what}: ${key} = ${JSON.stringify(got)} is not supported; accepted: ${accepted.map((v) => JSON.stringify(v)).join(", ")}.`,
      );
  }
}
