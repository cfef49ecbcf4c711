"""A stand-in for the repository server of the Open Build Service (OBS), for demo and tests.

    obs --port PORT --root DIR [--user NAME --password PASSWORD]

A file DIR/<project>/<repository>/<arch>/<package>/<file> is a build result:

    GET /build/<project>/<repository>/<arch>/<package>            <binarylist>
    GET /build/<project>/<repository>/<arch>/<package>/<file>     the bytes
    GET /published                                                <directory> of projects
    GET /published/<project>                                      <directory> of repositories
    GET /_result?prpa=<project>/<repository>/<arch>               <resultlist> with the packages

It answers as bs_repserver does (OBS sources, src/backend: the routes and getbinary() in bs_repserver,
reply_file() and reply_error() in BSServer.pm, errreply() in BSStdServer.pm, the names in BSVerify.pm):

- Content-Length, Cache-Control: no-cache, Connection: close; no Date, ETag or Last-Modified;
- Range is ignored: the answer is a 200 with the whole file;
- the path is percent-decoded before it is split, so %2F is a slash;
- a package that does not exist has an empty list, a file that does not exist is a 404;
- errors are <status code="..."> with a summary, and a colon of it is a blank in the status line.

A file <file>.sha256 beside <file> is a build result like any other: what sha256sum prints, signed or not.

The same below /public/build as an HTTP front before OBS with support for ranges would answer: Range (206, 416),
If-Range, ETag, Last-Modified, Connection kept alive. Below it, there are the lists of the source server, as OBS's public API
passes them on: /public/build/<project>, /public/build/<project>/<repository> and
/public/build/<project>/<repository>/<arch>, each a <directory>. A project that has a folder `.hidden` is not there.

With --user, a request without these Basic credentials gets a 401.

Faults
------
A file <file>.faults.json beside a build result is neither listed nor served. It holds a JSON list; each GET of
the build result takes the next entry that is not for another, HEAD takes none, and after the last one all is well again. A sidecar with a new
modification time starts over. Keys of an entry, to be combined; {} is an answer without a fault:

    "status": 503             an error with this status, and nothing of the file
    "after": N, "do": ...     after N bytes of the body:
        "reset"                   TCP reset; what the client has not read by then is lost to it
        "close"                   orderly close, although more was announced
        "stall"                   send nothing more and keep the connection open until the client gives up
        "short"                   Content-Length says N from the start: a well-formed answer that ends early
    "after": N, "pause": S    after N bytes of the body: send nothing for S seconds
    "lie": N                  Content-Length says N; the bytes are sent all the same, then the connection is closed
    "range": true | false     Range is honoured or ignored, whatever the door
    "etag": TEXT              the ETag, whatever the door
    "from": N                 the entry is for a GET whose Range begins at byte N, and waits for it: readers that use
                              several connections ask in any order

One line per request on stdout: time, method, path, Range, status, bytes of the body sent, fault.
"""
