/** How much the browser lets this site store, and what is said when that is not enough. */
import { NijimiError } from "../../errors.ts";

/** Bytes that this site has and may have. */
export interface StorageRoom {
  readonly used: number;
  readonly quota: number;
  /** Whether the browser will not clear it by itself when space gets short. */
  readonly isPersistent: boolean;
}

/** Asks the browser; undefined where it does not tell. */
export async function storageRoom(
  storage: StorageManager = navigator.storage,
): Promise<StorageRoom | undefined> {
  const { usage, quota } = await storage.estimate();
  if (usage === undefined || quota === undefined) return undefined;
  return { used: usage, quota, isPersistent: await storage.persisted() };
}

/**
 * Asks the browser to keep what is stored until the user deletes it. To be called by the page: workers may not.
 *
 * @returns whether it will
 */
export async function keepStorage(storage: StorageManager = navigator.storage): Promise<boolean> {
  return (await storage.persisted()) || storage.persist();
}

/** Refuses what will not fit, before anything is loaded. @throws NijimiError `file` */
export async function requireRoom(
  name: string,
  bytes: number,
  storage: StorageManager,
): Promise<void> {
  const room = await storageRoom(storage);
  if (room !== undefined && bytes > room.quota - room.used) throw noRoom(name, bytes, room);
}

/** The error for a full storage. */
export function noRoom(
  name: string,
  bytes: number,
  room: StorageRoom | undefined,
  cause?: unknown,
): NijimiError {
  const granted =
    room === undefined
      ? "the browser grants no more"
      : `the browser grants this site ${showBytes(Math.max(0, room.quota - room.used))} more (${showBytes(room.used)} of ${showBytes(room.quota)} are in use)`;
  return new NijimiError(
    "file",
    `${name} needs ${showBytes(bytes)} of storage; ${granted}. Remove stored models, free space on the disk, or take a smaller file (16-bit, or quantised). What is stored already is kept.`,
    { cause },
  );
}

const UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** `"1.5 GiB"` */
export function showBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`;
}
