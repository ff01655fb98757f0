/* RFC 6455 and RFC 7692 as far as the clients of bench/flood.mjs need them: frames that they send, and those that come. */
import zlib from 'node:zlib';

export const FIN = 0x80;
export const RSV1 = 0x40;
export const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];

/* A client's frame of less than 64 KiB, masked with zeros. */
export function frame(first, payload) {
  const { length } = payload;
  const head = length < 126 ? Buffer.from([first, 0x80 | length, 0, 0, 0, 0])
    : Buffer.from([first, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

/* RFC 7692 section 7.2.1: flushed, and without the last four bytes. */
export function compress(payload) {
  return zlib.deflateRawSync(payload, { level: 9, finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/* Section 7.2.2; of messages that refer to no earlier one. */
export function decompress(payload) {
  return zlib.inflateRawSync(payload, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
}

export const text = (payload, deflate) => frame(FIN | TEXT | (deflate ? RSV1 : 0), deflate ? compress(payload) : payload);

/* Calls take(first byte, payload) with each of the server's frames, in whatever pieces they come. */
export class Frames {
  #rest = [];

  #length = 0;

  #needed = 2; /* bytes before it is worth looking again */

  constructor(take) {
    this.take = take;
  }

  read(data) {
    this.#rest.push(data);
    this.#length += data.length;
    if (this.#length < this.#needed) {
      return;
    }
    let bytes = this.#rest.length === 1 ? data : Buffer.concat(this.#rest);
    for (;;) {
      const short = bytes.length >= 2 ? bytes[1] & 127 : 0;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length < head) {
        this.#needed = head;
        break;
      }
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      if (bytes.length < head + length) {
        this.#needed = head + length;
        break;
      }
      this.take(bytes[0], bytes.subarray(head, head + length));
      bytes = bytes.subarray(head + length);
    }
    this.#rest = bytes.length ? [bytes] : [];
    this.#length = bytes.length;
  }
}
