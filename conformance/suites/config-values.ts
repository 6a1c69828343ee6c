/** Reading the configurations of cases: Python's None is null, and what a case leaves out is undefined. */

export type Config = Readonly<Record<string, unknown>>;

export const numberOf = (value: unknown): number | undefined =>
  value === undefined || value === null ? undefined : Number(value);

export const textOf = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : String(value);

/** True, false, or undefined where it is left to the default. */
export const flagOf = (value: unknown): boolean | undefined =>
  typeof value === "boolean" ? value : undefined;

/** The record without its undefined fields, so that defaults hold. */
export const defined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
