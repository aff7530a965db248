"""moto's server, which answers one request after another.

Its transactions of DynamoDB are not atomic: of two at once, the one that fails takes back what the
other wrote.
"""
import threading

from moto import server


class OneAfterAnother(server.DomainDispatcherApplication):
    one_request = threading.Lock()

    def __call__(self, environ, start_response):
        with self.one_request:
            return super().__call__(environ, start_response)


server.DomainDispatcherApplication = OneAfterAnother
server.main()
