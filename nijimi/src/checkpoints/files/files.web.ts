/** A browser's file system: there is none. */
import { NijimiError } from "../../errors.ts";
import type { FileSystem } from "./file-system.ts";

export const openFile: FileSystem["openFile"] = async (path) => {
  throw noFiles(`open ${path}`, "Pass a File, a URL with http(s):, or the bytes.");
};

export const openFolder: FileSystem["openFolder"] = async (path) => {
  throw noFiles(
    `open the folder ${path}`,
    "Pass the files themselves (filesFolder) or a URL (httpFolder).",
  );
};

export const writeFile: FileSystem["writeFile"] = async (path) => {
  throw noFiles(`write ${path}`, "Use writeSafetensors, which gives the bytes.");
};

export const writeFolder: FileSystem["writeFolder"] = async (path) => {
  throw noFiles(`write the folder ${path}`, "Use writeSafetensors, which gives the bytes.");
};

export const stamp: FileSystem["stamp"] = async (path) => {
  throw noFiles(`look at ${path}`, "Quantise in memory.");
};

export const join: FileSystem["join"] = (path, ...names) => [path, ...names].join("/");

function noFiles(what: string, remedy: string): NijimiError {
  return new NijimiError("unsupported", `Cannot ${what}: there is no file system here. ${remedy}`);
}
