/** Brings the dependencies of this checkout up to date, so that one command works in a fresh clone. */
import { fileURLToPath } from "node:url";
import { installIfStale } from "./fresh-clone/install.js";

installIfStale(fileURLToPath(new URL("..", import.meta.url)), (line) => console.error(line));
