/** Persistent ids, by which torch's pickles refer to storages. */
import { NijimiError } from "../../errors.ts";
import { asCount, asItems, asText, badCall, describe } from "./arguments.ts";
import { STORAGE_DTYPES, UNTYPED_STORAGES } from "./torch-calls.ts";
import { globalName, isKind, type PickleValue, type StorageRef } from "./values.ts";

/** ("storage", type, key, device, count[, view of another storage]). */
export function storageOf(id: PickleValue, onStorage?: (storage: StorageRef) => void): StorageRef {
  const what = "a persistent id";
  const [tag, type, key, , count, view] = asItems(id, what);
  if (tag !== "storage") throw badCall(what, `${describe(tag)} where "storage" belongs`);
  const typeName = isKind(type, "global") ? globalName(type) : describe(type);
  const untyped = UNTYPED_STORAGES.includes(typeName);
  const dtype = Object.hasOwn(STORAGE_DTYPES, typeName) ? STORAGE_DTYPES[typeName] : undefined;
  if (!untyped && !dtype)
    throw new NijimiError(
      "unsupported",
      `Storages of type ${typeName} are not read; accepted: ${Object.keys(STORAGE_DTYPES).join(", ")}.`,
    );
  const base: StorageRef = {
    kind: "storage",
    dtype,
    key: storageKey(key),
    count: asCount(count, what),
    start: 0,
  };
  onStorage?.(base);
  return view === null || view === undefined ? base : viewOf(base, asItems(view, what));
}

/** (key, first element, count): a storage inside another one. */
function viewOf(base: StorageRef, [, start, count]: readonly PickleValue[]): StorageRef {
  const what = "a view of a storage";
  return { ...base, start: asCount(start, what), count: asCount(count, what) };
}

function storageKey(key: PickleValue | undefined): string {
  const text = typeof key === "number" ? String(key) : asText(key, "a persistent id");
  if (/^[\w-]{1,64}$/.test(text)) return text;
  throw new NijimiError(
    "unsafe",
    `The pickle names the storage ${JSON.stringify(text.slice(0, 200))}, which is not a plain name; it is not opened.`,
  );
}
