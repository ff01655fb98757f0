// Types of clowntalk.js. The manual is docs/javascript.md.

/** A number and its unit, as Clown.Talk sends it. The number is null when it can no longer be read. */
export type Quantity = [value: number | null, unit: string];

/** A JSON object: what a message carries. */
export type Payload = Record<string, any>;

export interface Message {
  topic: string;
  payload: Payload;
  /** The id of the request that it answers. */
  id?: string | number;
  /** True for a last known value that the opening brought, false for what happens now. */
  initial?: boolean;
}

export interface Devices {
  sensors: string[];
  actuators: string[];
  notifications: string[];
}

/** `min`, `mean` and `max` per step, oldest first; null where nothing was measured. */
export interface HistorySeries {
  min: (number | null)[];
  mean: (number | null)[];
  max: (number | null)[];
}

export interface History {
  seconds: number;
  /** Seconds per step. */
  step: number;
  /** End of the newest step, in seconds since the epoch, by the server's clock. */
  end: number;
  [quantity: string]: HistorySeries | number;
}

/** The server's error names, then the client's own. */
export type ErrorCode =
  | 'malformed' | 'not-initialized' | 'unknown-topic' | 'unknown-device' | 'bad-payload'
  | 'forbidden' | 'busy' | 'rate-limited' | 'io-error' | 'timeout' | 'unavailable'
  | 'no-answer' | 'not-connected' | 'connection-lost' | 'closed';

export class ClownTalkError extends Error {
  constructor(code: ErrorCode, message: string, topic?: string, payload?: Payload);
  readonly code: ErrorCode;
  /** The error's topic, or the request's where the client itself gave up. */
  readonly topic?: string;
  readonly payload?: Payload;
}

export interface Clock {
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface SocketOptions {
  /** The WebSocket class; needed where there is no global one (Node.js before 22). */
  WebSocket?: new (url: string, protocols?: string | string[]) => any;
  /** Subprotocol that is offered, `clown.talk`; null for none. */
  protocol?: string | null;
  /** False: the first loss of the connection is the last. Default true. */
  reconnect?: boolean;
  /** Milliseconds until a handshake that hangs is given up: 10000. */
  connectTimeout?: number;
  /** Milliseconds, upper bound of the first back-off: 500. */
  minDelay?: number;
  /** Milliseconds, upper bound of any back-off: 30000. */
  maxDelay?: number;
  /** Milliseconds that a connection must live before the back-off is reset: 5000. */
  stableAfter?: number;
  /** A source of numbers from 0 to 1, for tests. */
  random?: () => number;
  /** A source of time, for tests. */
  clock?: Clock;
}

export interface Options extends SocketOptions {
  /** Milliseconds until a request without an answer fails: 10000. */
  requestTimeout?: number;
  /** Milliseconds of silence after which the server is asked for a sign of life: 30000. */
  idleTimeout?: number;
  /** Milliseconds that it has for that: 5000. */
  probeTimeout?: number;
}

/** The event of a connection's end: a CloseEvent, or the same members where the client ended it. */
export interface CloseInformation {
  code: number;
  reason: string;
  wasClean: boolean;
}

export class ReconnectingSocket {
  constructor(url: string | URL, options?: SocketOptions);
  readonly url: string;
  readonly state: 'connecting' | 'open' | 'waiting' | 'closed';
  readonly readyState: number;
  readonly retryAt: number | null;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: { data: any }) => void) | null;
  onclose: ((event: CloseInformation) => void) | null;
  onerror: ((event: any) => void) | null;
  onstate: ((state: ReconnectingSocket['state']) => void) | null;
  send(text: string): boolean;
  close(code?: number, reason?: string): void;
  retry(): void;
  abandon(reason: string): void;
}

export type State = 'connecting' | 'opening' | 'ready' | 'waiting' | 'closed';

export interface Events {
  state: State;
  ready: Payload;
  devices: Devices;
  message: Message;
  error: ClownTalkError;
  close: CloseInformation;
}

export class ClownTalk {
  constructor(url: string | URL, options?: Options);
  readonly url: string;
  readonly state: State;
  readonly retryAt: number | null;
  readonly server: Payload | null;
  readonly devices: Devices | null;
  readonly values: ReadonlyMap<string, Payload>;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void;
  subscribe(
    pattern: string, listener: (payload: Payload, topic: string, message: Message) => void,
  ): () => void;
  value(topic: string): Payload | undefined;
  ready(): Promise<this>;
  send(topic: string, payload?: Payload): boolean;
  request(
    topic: string, payload?: Payload, options?: { timeout?: number },
  ): Promise<{ topic: string; payload: Payload }>;
  get(topic: string): Promise<Payload>;
  set(topic: string, payload: Payload): Promise<Payload>;
  history(topic: string, seconds?: number, points?: number): Promise<History>;
  retry(): void;
  close(): void;
}

export interface Handlers {
  onOpen?: (event: any) => void;
  onMessage?: (event: { data: any }) => void;
  onClose?: (event: CloseInformation) => void;
  onError?: (event: any) => void;
}

export function wsConnect(
  uri: string | URL, handlers?: Handlers, options?: SocketOptions,
): ReconnectingSocket;

export function nodePath(node: string, location?: string): string;
export function formatMessage(topic: string, payload?: Payload, id?: string | number): string;
export function parseMessage(text: string): Message;
