// The names in scope of the scripts besides the browser's own.
//
// Gradio runs the script of a `gr.HTML` once for every mount, as the body of a function of the first four; Python
// puts the constants before the scripts that need them (`ui/page/scripts.py`).

/** The component's element on the page. */
declare const element: HTMLElement;

/** Send one of the component's events to the server. */
declare function trigger(event: string, data?: object): void;

/** The component's properties; a new `value` goes to the server with its next event. */
declare const props: {
  // biome-ignore lint/suspicious/noExplicitAny: each component has a value of its own
  value: any;
  language?: string | null;
  words?: Record<string, Record<string, string>>;
};

/** Call a function whenever the server has changed a property. */
declare function watch(property: string, listener: () => void): void;

/** Strings by language and key. */
declare const WORDS: Record<string, Record<string, string>>;

/** Name of the cookie with the language that was chosen. */
declare const COOKIE: string;

/** The largest upload in bytes; null for no limit. */
declare const MOST: number | null;

interface Window {
  /**
   * Offered to the page's events: show that an upload is read, and that it has been (`uploads.js`); wait until the
   * choices that were made are saved (`streams.js`); return the frame that is shown, in seconds, and the number of the
   * object that is marked (`stage/main.js`).
   */
  recorte: {
    reading: (name: string) => void;
    read: () => void;
    settled: () => Promise<void>;
    marked?: () => { time: number; object: number };
    /** Of `history.js`. */
    place?: { changed: (id: string) => void; settled: (id: string) => void };
  };
  /** Gradio's description of the page. */
  gradio_config?: { dependencies: { id: number; types: { generator: boolean } }[] };
}
