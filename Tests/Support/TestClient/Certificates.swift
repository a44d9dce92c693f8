/// Certificates that tests show each other, in PEM form; all are of `localhost` and signed by themselves.
package enum Certificates {
    /// From 2000 to 2100.
    package static let server = """
        -----BEGIN CERTIFICATE-----
        MIIBPzCB5qADAgECAgEBMAoGCCqGSM49BAMCMBMxETAPBgNVBAMMCHZsbSB0ZXN0
        MCAXDTAwMDEwMTAwMDAwMFoYDzIxMDAwMTAxMDAwMDAwWjATMREwDwYDVQQDDAh2
        bG0gdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGavkYqhuToBAbtZrlPo
        DNiOukIjjNXPO1iseBzTC9ju45Q/J96JaiMwG+c2s4n/bPNus9fERuPpF7pmJsNl
        EIejKTAnMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAPBgNVHRMBAf8EBTADAQH/MAoG
        CCqGSM49BAMCA0gAMEUCICYIRDc16kGYah+Q/iUd+jAtYPH2n3wwktNrmx7WYyeT
        AiEApycC9OEx1Dl+ER6QR4sB8/GlzSACE44iQHhZ1K5K8QY=
        -----END CERTIFICATE-----
        """
    package static let serverKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvXoItYvyQ3sdOYtk
        BFIZlUt6DyRU39ua38nD91GACjWhRANCAARmr5GKobk6AQG7Wa5T6AzYjrpCI4zV
        zztYrHgc0wvY7uOUPyfeiWojMBvnNrOJ/2zzbrPXxEbj6Re6ZibDZRCH
        -----END PRIVATE KEY-----
        """
    /// From 2000 to 2100, of another key.
    package static let other = """
        -----BEGIN CERTIFICATE-----
        MIIBYjCCAQegAwIBAgIBAjAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAl2bG0gb3Ro
        ZXIwIBcNMDAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
        CXZsbSBvdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLyxaKVFxIq6kVxh
        /QFIKVd4FxYdIiGWCl7+uCq3NogJuY13zFl1BYl6izgCeYAz+Uw+YrzBuK/eI1mn
        uQKII5+jSDBGMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAPBgNVHRMBAf8EBTADAQH/
        MB0GA1UdDgQWBBSjT017n1vQQ1KZwvy6u1svb08J5zAKBggqhkjOPQQDAgNJADBG
        AiEArWiE5WkRtgmk2c9lk7N3SICRfEqr59mmW49fOOoR8n0CIQCw0futeX0zJg/H
        JK8zqX9lFaL1vAzwvQoo5R+RHNSuDA==
        -----END CERTIFICATE-----
        """
    /// Of the year 2000, and of the same key as `other`.
    package static let expired = """
        -----BEGIN CERTIFICATE-----
        MIIBYjCCAQmgAwIBAgIBATAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAt2bG0gZXhw
        aXJlZDAeFw0wMDAxMDEwMDAwMDBaFw0wMTAxMDEwMDAwMDBaMBYxFDASBgNVBAMM
        C3ZsbSBleHBpcmVkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvLFopUXEirqR
        XGH9AUgpV3gXFh0iIZYKXv64Krc2iAm5jXfMWXUFiXqLOAJ5gDP5TD5ivMG4r94j
        Wae5Aogjn6NIMEYwFAYDVR0RBA0wC4IJbG9jYWxob3N0MA8GA1UdEwEB/wQFMAMB
        Af8wHQYDVR0OBBYEFKNPTXufW9BDUpnC/Lq7Wy9vTwnnMAoGCCqGSM49BAMCA0cA
        MEQCIHN7v2sQTVEk831rgvMv6pFPwk0X9zRzuylZNnMsFu+TAiBdLjUvaNB/7gSy
        QY67m3wed9mhqZYiBWzXL4aEvNd5hQ==
        -----END CERTIFICATE-----
        """
    package static let otherKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrPWYWEdbAHJIzuXo
        xSZQVgArE5SYojwAOqUyIiVs72ahRANCAAS8sWilRcSKupFcYf0BSClXeBcWHSIh
        lgpe/rgqtzaICbmNd8xZdQWJeos4AnmAM/lMPmK8wbiv3iNZp7kCiCOf
        -----END PRIVATE KEY-----
        """
    /// That key, under the password `x`.
    package static let encryptedKey = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAieHsN0VYcRNQICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEG2c7t3Wl7w5a0XgbSrIwJgEgZBy
        tYiMAsh6EKwcdmpkJUZnx/mFxixIJMi+xPzYQZx3jsHukn6zJ6FGHJ2cMIQ9D8tu
        HoFMhK+KukSccZ8JGUcEfLY5t/5KHpOEXVUcPpeC1rxEI1Gwbz4BLv7yX+66LPRx
        dZIsvQ9wMgKs8ZLolE9d0b8QZvumn+BmglD/Am5a5sQMeSGd7HtHlIG0t1bmjQY=
        -----END ENCRYPTED PRIVATE KEY-----
        """
}
