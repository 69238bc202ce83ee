/** The style sheet of the start page, and the security headers of every answer. The style is part of the document: nothing else may be loaded. */
import {createHash} from 'node:crypto'

/** Sizes follow the reader's own; colours follow the system's choice of light or dark, with a contrast of at least 4.5 (WCAG 2.2, 1.4.3). */
export const style = `:root{color-scheme:light dark;--text:#1b1f24;--dim:#57606a;--line:#d0d7de;--back:#fff;--box:#f6f8fa;--link:#0550ae;--good:#116329;--wrong:#a40e26;--waiting:#7a4d00}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--dim:#9aa4af;--line:#3d444d;--back:#0d1117;--box:#161b22;--link:#79c0ff;--good:#56d364;--wrong:#ff8a80;--waiting:#e3b341}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.15rem;margin:1.75rem 0 .5rem}
.box h2{margin-top:.6rem}
p{margin:.4rem 0}
a{color:var(--link);white-space:nowrap}
a:focus-visible{outline:3px solid var(--link);outline-offset:2px}
code{font-family:ui-monospace,monospace;font-size:.9em;background:var(--box);border:1px solid var(--line);border-radius:.25rem;padding:.05rem .3rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.45rem .75rem .45rem 0;border-top:1px solid var(--line)}
th{overflow-wrap:normal}
small,.dim{color:var(--dim);font-weight:400}
ul{margin:.4rem 0;padding-left:1.2rem}
li{margin:.4rem 0}
td ul{list-style:none;padding:0;margin:0}
td li{display:inline-block;margin:0 1rem 0 0}
td li a{padding:0 .1rem}
.state{font-weight:600;white-space:nowrap}
.state::before{content:"";display:inline-block;width:.6em;height:.6em;margin-right:.4em;border-radius:50%;background:currentColor}
.good .state{color:var(--good)}
.wrong .state,.alarm h2{color:var(--wrong)}
.waiting .state{color:var(--waiting)}
.off .state{color:var(--dim)}
.box{background:var(--box);border:1px solid var(--line);border-radius:.4rem;padding:.25rem 1rem;margin:1rem 0}
.alarm{border-left:.3rem solid var(--wrong)}
@media (min-width:40rem){tbody th,.state{min-width:8rem}td:last-child{width:45%}}
@media (max-width:40rem){thead{position:absolute;clip-path:inset(50%)}tr,tbody th,tbody td{display:block}tr{border-top:1px solid var(--line);padding:.6rem 0}tbody th,tbody td{border:0;padding:0;overflow-wrap:anywhere}td li a{display:inline-block;padding:.3rem .15rem}}
`

const hash = createHash('sha256').update(style).digest('base64')

/** No script, no frame, no form, nothing from elsewhere (https://www.w3.org/TR/CSP3/); and the address of this page stays with this site. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
}
