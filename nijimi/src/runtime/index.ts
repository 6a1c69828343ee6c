export { type Compiled, compile, type CompileOptions } from "./compile.ts";
export { type Device, DEVICES, type Session } from "./engine.ts";
export { createSession, listDevices, type SessionOptions } from "./session.ts";
